"""The inference engines, by the name a recipe uses. What one is: `edgekd.runtime`."""

from __future__ import annotations

from edgekd.errors import InputError
from edgekd.errors import nearest
from edgekd.runtime import Entry
from edgekd.runtime import Runtime

RUNTIMES: dict[str, Entry] = {
    "onnxruntime": Entry(
        "edgekd.runtimes.ort",
        "onnxruntime",
        "onnxruntime",
        ("fp32", "bf16"),
        "ONNX Runtime on the CPU",
    ),
    "openvino": Entry(
        "edgekd.runtimes.openvino",
        "openvino",
        "openvino",
        ("fp32", "bf16", "fp16"),
        "OpenVINO on the CPU",
    ),
}

NULL = Entry(
    "edgekd.runtimes.null",
    "edgekd",
    "",
    ("fp32",),
    "runs nothing; for tests of what stands above it",
)


def find(name: str) -> Runtime:
    """The runtime called `name`; ``null`` is known too, though no recipe may ask for it.

    Raises:
        InputError: if there is none.
    """
    entry = NULL if name == "null" else RUNTIMES.get(name)
    if entry is None:
        raise InputError(f"runtime: got unknown {name!r}", hint=nearest(name, RUNTIMES))
    return entry.load()
