"""CUDA by ctypes: whether a device is there, and the few calls of its runtime an inference needs."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    import numpy as np

DRIVER = "libcuda.so.1"
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
"""CUdevice_attribute (cuda.h)."""
TO_DEVICE, TO_HOST = 1, 2
"""cudaMemcpyKind (driver_types.h)."""
NONE = "no CUDA device"


def capability(driver: Any = None) -> str | None:
    """``sm89``: the compute capability of the first CUDA device; None if none is there.

    Args:
        driver: libcuda, loaded; another in tests.
    """
    if driver is None:
        try:
            driver = ctypes.CDLL(DRIVER)
        except OSError:
            return None
    count, device = ctypes.c_int(), ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or count.value < 1:
        return None
    if driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    numbers = []
    for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR):
        value = ctypes.c_int()
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
            return None
        numbers.append(value.value)
    return f"sm{numbers[0]}{numbers[1]}"


class Cuda:
    """One stream of libcudart, and memory on its device."""

    def __init__(self, library: Any) -> None:
        """Args:
        library: libcudart, loaded.

        Raises:
            ValueError: if there is no device to make a stream on.
        """
        self._library = library
        library.cudaGetErrorString.restype = ctypes.c_char_p
        stream = ctypes.c_void_p()
        self._call("cudaStreamCreate", ctypes.byref(stream))
        self.stream: int = stream.value or 0

    def reserve(self, size_bytes: int) -> int:
        """The address of new device memory.

        Raises:
            ValueError: if there is not enough.
        """
        address = ctypes.c_void_p()
        self._call("cudaMalloc", ctypes.byref(address), ctypes.c_size_t(size_bytes))
        return address.value or 0

    def release(self, address: int) -> None:
        """Give memory back."""
        self._call("cudaFree", ctypes.c_void_p(address))

    def send(self, array: np.ndarray, address: int) -> None:
        """Put a C-contiguous array at `address`, in the stream's order."""
        self._copy(address, array.ctypes.data, array.nbytes, TO_DEVICE)

    def fetch(self, address: int, array: np.ndarray) -> None:
        """Fill a C-contiguous array from `address`, in the stream's order."""
        self._copy(array.ctypes.data, address, array.nbytes, TO_HOST)

    def wait(self) -> None:
        """Until all that was asked of the stream is done.

        Raises:
            ValueError: if any of it failed.
        """
        self._call("cudaStreamSynchronize", ctypes.c_void_p(self.stream))

    def _copy(self, goal: int, source: int, size_bytes: int, kind: int) -> None:
        self._call(
            "cudaMemcpyAsync",
            ctypes.c_void_p(goal),
            ctypes.c_void_p(source),
            ctypes.c_size_t(size_bytes),
            ctypes.c_int(kind),
            ctypes.c_void_p(self.stream),
        )

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            said = self._library.cudaGetErrorString(code)
            raise ValueError(f"{name}: {said.decode(errors='replace')}")
