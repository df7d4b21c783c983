from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekd.runtime import EngineInput
from edgekd.runtimes.tensorrt.cuda import Cuda
from edgekd.runtimes.tensorrt.session import TensorRtSession
from tests.cuda_example import FakeCudart

LARGEST = 4


class Engine:
    """An `ICudaEngine` of ``y = 2 x`` for float32 [1 to 4, 3], and its own execution context."""

    num_io_tensors = 2

    def __init__(self, element: str = "FLOAT") -> None:
        self.element = element
        self.batch = -1
        self.addresses: dict[str, int] = {}
        self.shapes_set = 0

    def create_execution_context(self) -> Engine:
        return self

    def get_tensor_name(self, number: int) -> str:
        return "xy"[number]

    def get_tensor_mode(self, name: str) -> Any:
        return SimpleNamespace(name="INPUT" if name == "x" else "OUTPUT")

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=self.element)

    def get_tensor_shape(self, name: str) -> tuple[int, int]:
        return (self.batch, 3)

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, int]]:
        return [(1, 3), (1, 3), (LARGEST, 3)]

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes_set += 1
        if not 1 <= shape[0] <= LARGEST:
            return False
        self.batch = shape[0]
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        count = self.batch * 3
        x, y = ((ctypes.c_float * count).from_address(self.addresses[name]) for name in "xy")
        for number in range(count):
            y[number] = 2 * x[number]
        return True


def test_it_tells_its_inputs_and_outputs() -> None:
    session = TensorRtSession(Engine(), Cuda(FakeCudart()))
    assert session.inputs == (EngineInput("x", "float32", (None, 3)),)
    assert session.output_names == ("y",)


def test_answers_of_changing_batches_are_the_callers_to_keep() -> None:
    library, engine = FakeCudart(), Engine()
    session = TensorRtSession(engine, Cuda(library))
    answers = {}
    for batch in (2, 4, 1, 4, 4):
        x = np.random.default_rng(batch).standard_normal((batch, 3)).astype(np.float32)
        answers[batch] = (session.run({"x": x})[0], 2 * x)
    for got, want in answers.values():
        np.testing.assert_array_equal(got, want)
    assert len(library.held) == 2  # one buffer a tensor, the outgrown ones given back
    assert engine.shapes_set == 4  # a shape that stays is not told again


def test_a_batch_beyond_the_profile() -> None:
    session = TensorRtSession(Engine(), Cuda(FakeCudart()))
    with pytest.raises(ValueError, match=r"input 'x': got \(5, 3\), want \(1, 3\) to \(4, 3\)"):
        session.run({"x": np.zeros((5, 3), np.float32)})


def test_an_element_type_numpy_lacks() -> None:
    with pytest.raises(ValueError, match="tensor 'x': got BF16"):
        TensorRtSession(Engine("BF16"), Cuda(FakeCudart()))


def test_an_engine_that_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "execute_async_v3", lambda self, stream: False)
    with pytest.raises(ValueError, match="does not run"):
        TensorRtSession(Engine(), Cuda(FakeCudart())).run({"x": np.zeros((1, 3), np.float32)})
    monkeypatch.setattr(Engine, "create_execution_context", lambda self: None)
    with pytest.raises(ValueError, match="not enough device memory"):
        TensorRtSession(Engine(), Cuda(FakeCudart()))
