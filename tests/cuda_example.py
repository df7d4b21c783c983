"""A libcudart whose device is this process's own memory: addresses are real, copies are memmove."""

from __future__ import annotations

import ctypes
from typing import Any


class CString:
    """What ctypes makes of a function that gives a ``char *``."""

    restype: Any = None

    def __call__(self, code: int) -> bytes:
        return b"no CUDA-capable device is detected"


class FakeCudart:
    """The calls of libcudart that `edgekd.runtimes.tensorrt.cuda.Cuda` makes."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.held: dict[int, Any] = {}
        self.last: tuple[Any, ...] = ()
        self.cudaGetErrorString = CString()

    def _done(self, name: str, *arguments: Any) -> int:
        self.last = arguments
        return 100 if name == self.fails else 0

    def cudaStreamCreate(self, stream: Any) -> int:
        stream._obj.value = 7
        return self._done("cudaStreamCreate", stream)

    def cudaStreamSynchronize(self, stream: Any) -> int:
        return self._done("cudaStreamSynchronize", stream)

    def cudaMalloc(self, address: Any, size: Any) -> int:
        if self.fails != "cudaMalloc":
            buffer = ctypes.create_string_buffer(size.value)
            address._obj.value = ctypes.addressof(buffer)
            self.held[ctypes.addressof(buffer)] = buffer
        return self._done("cudaMalloc", address, size)

    def cudaFree(self, address: Any) -> int:
        del self.held[address.value]
        return self._done("cudaFree", address)

    def cudaMemcpyAsync(self, goal: Any, source: Any, size: Any, kind: Any, stream: Any) -> int:
        device = goal if kind.value == 1 else source
        assert device.value in self.held and size.value <= len(self.held[device.value])
        assert stream.value == 7
        ctypes.memmove(goal.value, source.value, size.value)
        return self._done("cudaMemcpyAsync", goal, source, size, kind, stream)
