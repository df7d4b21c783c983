"""The inference engines, by the name a recipe uses. What one is: `edgekd.runtime`."""

from __future__ import annotations

from edgekd.errors import InputError
from edgekd.errors import nearest
from edgekd.runtime import Runtime
from edgekd.runtime import RuntimeEntry

RUNTIMES: dict[str, RuntimeEntry] = {
    "onnxruntime": RuntimeEntry(
        "edgekd.runtimes.ort",
        "onnxruntime",
        "onnxruntime",
        ("fp32", "bf16", "int8"),
        "ONNX Runtime on the CPU",
        keeps_floats=True,
    ),
    "openvino": RuntimeEntry(
        "edgekd.runtimes.openvino",
        "openvino",
        "openvino",
        ("fp32", "bf16", "fp16", "int8"),
        "OpenVINO on the CPU",
    ),
    "tensorrt": RuntimeEntry(
        "edgekd.runtimes.tensorrt",
        "tensorrt-rtx-cu13-bindings",
        "tensorrt",
        ("fp32", "fp16", "int8"),
        "TensorRT or TensorRT for RTX; built anywhere, run on a CUDA device",
        options=("capability",),
        instead=("tensorrt",),
    ),
}

NULL = RuntimeEntry(
    "edgekd.runtimes.null",
    "edgekd",
    "",
    ("fp32", "int8"),
    "runs nothing; for tests of what stands above it",
)


def entry(name: str) -> RuntimeEntry:
    """The line of the runtime called `name`; ``null`` is known too, though no recipe may ask for it.

    Raises:
        InputError: if there is none.
    """
    found = NULL if name == "null" else RUNTIMES.get(name)
    if found is None:
        raise InputError(f"runtime: got unknown {name!r}", hint=nearest(name, RUNTIMES))
    return found


def find(name: str) -> Runtime:
    """The runtime called `name`, as `entry` knows it.

    Raises:
        InputError: if there is none.
    """
    return entry(name).load()
