"""The inference engines, by the name a recipe uses: edgekd's, and those of plugins. What one is: `edgekd.runtime`."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping

from edgekd import plugins
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.runtime import Runtime
from edgekd.runtime import RuntimeEntry

KIND = "runtime"
"""Of `edgekd.plugins.GROUPS`."""
BUILT_IN: dict[str, RuntimeEntry] = {
    "onnxruntime": RuntimeEntry(
        "edgekd.runtimes.ort",
        "onnxruntime",
        "onnxruntime",
        ("fp32", "bf16", "int8", "int4"),
        "ONNX Runtime on the CPU",
        keeps_floats=True,
        fuses_decoders=True,
        caches={"int8": "i8", "int4": "i8"},
        profiles=("x86", "x86-no-vnni", "arm", "weight-blocks"),
    ),
    "openvino": RuntimeEntry(
        "edgekd.runtimes.openvino",
        "openvino",
        "openvino",
        ("fp32", "bf16", "fp16", "int8", "int8-bf16", "int4"),
        "OpenVINO on the CPU",
        caches={"bf16": "bf16", "fp16": "f16", "int8": "u8", "int8-bf16": "u8", "int4": "u8"},
        profiles=("openvino", "x86", "x86-no-vnni", "weight-blocks"),
    ),
    "tensorrt": RuntimeEntry(
        "edgekd.runtimes.tensorrt",
        "tensorrt-rtx-cu13-bindings",
        "tensorrt",
        ("fp32", "fp16", "int8"),
        "TensorRT or TensorRT for RTX; built anywhere, run on a CUDA device",
        options=("capability",),
        instead=("tensorrt",),
        profiles=("tensorrt",),
    ),
}

NULL_NAME = "null"
NULL = RuntimeEntry(
    "edgekd.runtimes.null",
    "edgekd",
    "",
    ("fp32", "int8"),
    "runs nothing; for tests of what stands above it",
)


class _Runtimes(Mapping[str, RuntimeEntry]):
    """edgekd's own, then those of plugins, which are read when a name is asked for that edgekd does not have."""

    def __getitem__(self, name: str) -> RuntimeEntry:
        """
        Raises:
            KeyError: if there is none of that name.
            InputError: if a plugin's cannot be told from another, or its line is not to be read.
        """
        if name in BUILT_IN:
            return BUILT_IN[name]
        plugin = plugins.find_plugin(KIND, name)
        if plugin is None:
            raise KeyError(name)
        from edgekd.runtime_plugin import read_entry

        return read_entry(plugin)

    def __contains__(self, name: object) -> bool:
        return name in BUILT_IN or name in self._list_added()

    def __iter__(self) -> Iterator[str]:
        yield from BUILT_IN
        yield from self._list_added()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _list_added(self) -> list[str]:
        """Names that plugins add."""
        taken = (*BUILT_IN, NULL_NAME)
        return [name for name in plugins.list_plugins(KIND) if name not in taken]


RUNTIMES: Mapping[str, RuntimeEntry] = _Runtimes()


def find_entry(name: str) -> RuntimeEntry:
    """The line of the runtime called `name`; ``null`` is known too, though no recipe may ask for it.

    Raises:
        InputError: if there is none, or a plugin's is not to be read.
    """
    if name == NULL_NAME:
        return NULL
    if name not in RUNTIMES:
        raise InputError(f"runtime: got unknown {name!r}", hint=find_nearest(name, RUNTIMES))
    return RUNTIMES[name]


def find_runtime(name: str) -> Runtime:
    """The runtime called `name`, as `find_entry` knows it; runs the module of a plugin's.

    Raises:
        InputError: as `find_entry`.
        MachineError: if a plugin's module raises, or has no such runtime.
    """
    found = find_entry(name)
    if found.plugin is None:
        return found.load()
    from edgekd.runtime_plugin import load_runtime

    return load_runtime(found.plugin, found.module)


def why_not(name: str) -> str | None:
    """None if the runtime called `name` can be used here, else one line; runs the module of a plugin's."""
    if name != NULL_NAME and name not in RUNTIMES:
        return f"{name} is not installed: no installed distribution has an engine of that name"
    try:
        return find_runtime(name).why_not()
    except EdgekdError as error:
        return error.line()
