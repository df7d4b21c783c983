"""Which TensorRT is installed, and how it is opened: classic, or TensorRT for RTX.

Both have the same Python interface. Classic TensorRT builds on the device it builds for; TensorRT for
RTX compiles kernels for a named compute capability and needs neither a device nor a driver for that.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd.runtime import not_installed

EXTRA = "tensorrt"


class Library(NamedTuple):
    """One of the two."""

    name: str
    """What it calls itself in `plan.json`."""
    module: str
    """Its Python interface."""
    folders: tuple[str, ...]
    """Packages whose folder holds shared objects of it; the module is not to be imported before
    they are, or the loader looks for them on the system alone."""
    shared: tuple[str, ...]
    """Those objects without version, in the order they are loaded in."""
    capabilities: tuple[str, ...]
    """What it builds for without a device; empty for the device that is there alone."""
    oldest: int
    """The first major version whose networks can be strongly typed."""


CLASSIC = Library(
    "tensorrt",
    "tensorrt",
    # wheels of CUDA 12 and 13; `tensorrt` itself loads its own libraries from `tensorrt_libs`
    ("nvidia.cu13.lib", "nvidia.cuda_runtime.lib"),
    ("libcudart.so",),
    (),
    10,
)
RTX = Library(
    "tensorrt_rtx",
    "tensorrt_rtx_bindings",
    ("onnxruntime_ep_nv_tensorrt_rtx", "tensorrt_rtx_libs"),
    ("libcudart.so", "libtensorrt_rtx.so", "libtensorrt_onnxparser_rtx.so"),
    ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121"),
    1,
)
LIBRARIES = (CLASSIC, RTX)
"""The first that is installed is used."""


def find_installed() -> Library | None:
    """Find which of `LIBRARIES` is installed."""
    return next((one for one in LIBRARIES if importlib.util.find_spec(one.module)), None)


def why_not() -> str | None:
    """None if a library and its shared objects are there, else one line that says what is missing."""
    library = find_installed()
    if library is None:
        return not_installed("tensorrt", EXTRA)
    if library is RTX and len(list(_objects(library))) < len(library.shared):
        return not_installed("the library of TensorRT for RTX", EXTRA)
    return None


def _objects(library: Library) -> Iterator[Path]:
    """The shared objects that lie in wheels; `find_spec` does not import, so nothing of them runs."""
    folders = [folder for name in library.folders for folder in _folders(name)]
    for stem in library.shared:
        found = [path for folder in folders for path in sorted(folder.glob(f"{stem}*"))]
        yield from (path for path in found[:1] if path.is_file())


def _folders(package: str) -> Iterator[Path]:
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return
    if spec is not None:
        yield from map(Path, spec.submodule_search_locations or ())


class LoadedLibrary(NamedTuple):
    """The library in this process."""

    library: Library
    module: Any
    log: Any
    """Its one logger, an `ILogger` with `lines`."""


@functools.cache
def load_library() -> LoadedLibrary:
    """The library, imported once a process; its logger is one a process too, by its own rule.

    Raises:
        ImportError: if it is not there or does not import.
    """
    library = find_installed()
    if library is None:
        raise ImportError(not_installed("tensorrt", EXTRA))
    for path in _objects(library):
        # by the name within it (DT_SONAME) the next one finds what is loaded already
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    module = importlib.import_module(library.module)
    if int(module.__version__.split(".")[0]) < library.oldest:
        raise ImportError(f"got TensorRT {module.__version__}, want {library.oldest} or later")
    return LoadedLibrary(library, module, _logger(module))


def cudart() -> Any:
    """libcudart: the wheel's, or the system's.

    Raises:
        ImportError: if there is none.
    """
    library = find_installed()
    inside = [path for path in _objects(library) if "cudart" in path.name] if library else []
    for name in (*map(str, inside), "libcudart.so", "libcudart.so.13", "libcudart.so.12"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise ImportError("libcudart is not there")


def _logger(module: Any) -> Any:
    class Log(module.ILogger):  # type: ignore[misc]
        """Keeps what the library says: the layers of an engine are told nowhere else without a GPU."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.lines: list[tuple[str, str]] = []

        def log(self, severity: Any, text: str) -> None:
            """One message, with ``ERROR``, ``WARNING``, ``INFO`` or ``VERBOSE``."""
            self.lines.append((severity.name, text))

    return Log()
