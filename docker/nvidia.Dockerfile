# x86-64 with an NVIDIA GPU: TensorRT for RTX and ONNX Runtime. Its wheels bring TensorRT, its ONNX
# parser and the CUDA runtime; the driver comes from the host (`docker run --gpus all`).
#
#   docker build -f docker/nvidia.Dockerfile -t edgekd:nvidia .
#
# In CI, pin the base by digest: --build-arg BASE=docker.io/library/python@sha256:...
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=onnxruntime,tensorrt,predict,sign,report
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
WORKDIR /src
COPY setup.cfg pyproject.toml constraints.txt README.md LICENSE ./
COPY edgekd edgekd
# The packages go beside the image's own Python; --no-compile: bytecode is written where it is used.
RUN python3 -m venv /opt/edgekd \
 && /opt/edgekd/bin/python -m pip install --no-cache-dir --no-compile --constraint constraints.txt ".[${EXTRAS}]" \
 && /opt/edgekd/bin/python -m pip uninstall --yes --quiet pip setuptools
# The bindings look for three libraries by name on the loader's path; they lie inside the wheels.
RUN mkdir -p /opt/edgekd/lib/tensorrt \
 && for name in libtensorrt_rtx.so.1 libtensorrt_onnxparser_rtx.so.1 libcudart.so.13; do \
        found=$(find /opt/edgekd/lib/python3* -name "${name}*" | sort | head -n 1) \
        && test -n "$found" && ln -s "$found" "/opt/edgekd/lib/tensorrt/$name" || exit 1; \
    done

FROM ${BASE}
COPY --from=build /opt/edgekd /opt/edgekd
RUN useradd --create-home --uid 10001 edgekd
USER edgekd
WORKDIR /home/edgekd
ENV LD_LIBRARY_PATH=/opt/edgekd/lib/tensorrt \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PATH=/opt/edgekd/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["edgekd"]
CMD ["--help"]
