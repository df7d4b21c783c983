from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from edgekd.runtimes.tensorrt import cuda
from tests.cuda_example import FakeCudart


class Driver:
    """libcuda of a machine with `count` devices."""

    def __init__(self, count: int = 1, fails: str = "") -> None:
        self.count, self.fails = count, fails

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            if name == self.fails:
                return 999
            if name == "cuDeviceGetCount":
                arguments[0]._obj.value = self.count
            if name == "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 8, 76: 9}[arguments[1]]
            return 0

        return call


def test_a_device_tells_its_capability() -> None:
    assert cuda.capability(Driver()) == "sm89"


@pytest.mark.parametrize(
    "name", ["cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetAttribute"]
)
def test_a_driver_that_fails_is_no_device(name: str) -> None:
    assert cuda.capability(Driver(fails=name)) is None


def test_a_driver_without_devices_is_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cuda.capability(Driver(count=0)) is None
    monkeypatch.setattr(cuda, "DRIVER", "libthatisnotthere.so.1")
    assert cuda.capability() is None


def test_what_is_sent_is_fetched() -> None:
    library = FakeCudart()
    on = cuda.Cuda(library)
    sent = np.arange(12, dtype=np.float32).reshape(3, 4)
    address = on.reserve(sent.nbytes)
    got = np.empty_like(sent)
    on.send(sent, address)
    on.fetch(address, got)
    on.wait()
    np.testing.assert_array_equal(got, sent)
    on.release(address)
    assert not library.held


def test_a_failed_call_is_a_value_error_in_cudas_words() -> None:
    with pytest.raises(ValueError, match="cudaStreamCreate: no CUDA-capable device is detected"):
        cuda.Cuda(FakeCudart(fails="cudaStreamCreate"))
    on = cuda.Cuda(FakeCudart(fails="cudaMalloc"))
    with pytest.raises(ValueError, match="cudaMalloc: "):
        on.reserve(4)


def test_sizes_beyond_32_bits_arrive_whole() -> None:
    library = FakeCudart(fails="cudaMalloc")
    with pytest.raises(ValueError):
        cuda.Cuda(library).reserve(2**33)
    assert isinstance(library.last[1], ctypes.c_size_t) and library.last[1].value == 2**33
