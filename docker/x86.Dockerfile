# x86-64: ONNX Runtime and OpenVINO; measures, gates, verifies, predicts.
#
#   docker build -f docker/x86.Dockerfile -t edgekd:x86 .
#
# To train in it, too: --build-arg EXTRAS=learn,openvino,predict,sign,report
# In CI, pin the base by digest: --build-arg BASE=docker.io/library/python@sha256:...
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=onnxruntime,openvino,predict,sign,report
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
WORKDIR /src
COPY setup.cfg pyproject.toml constraints.txt README.md LICENSE ./
COPY edgekd edgekd
# The packages go beside the image's own Python; --no-compile: bytecode is written where it is used.
RUN python3 -m venv /opt/edgekd \
 && /opt/edgekd/bin/python -m pip install --no-cache-dir --no-compile --constraint constraints.txt ".[${EXTRAS}]" \
 && /opt/edgekd/bin/python -m pip uninstall --yes --quiet pip setuptools

FROM ${BASE}
COPY --from=build /opt/edgekd /opt/edgekd
RUN useradd --create-home --uid 10001 edgekd
USER edgekd
WORKDIR /home/edgekd
ENV PATH=/opt/edgekd/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["edgekd"]
CMD ["--help"]
