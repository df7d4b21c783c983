"""Kinds of inputs that strangers' models have, each run on both engines in a worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto

from edgekd.bench import session
from edgekd.bench import user_models
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.errors import InputError
from tests import foreign_example

RULES = session.Rules(
    processes_max=1,
    warm_up=WarmUp(window_ns=1_000_000, max_ns=10_000_000),
    steady=Steady(min_ns=1_000_000, max_ns=2_000_000),
)
BOTH = ("onnxruntime", "openvino")


def measured(
    models: list[Path], scratch: Path, runtimes: tuple[str, ...] = BOTH, **sizes: int
) -> list[str]:
    """The failure of each model on each engine; empty where there is none."""
    scratch.mkdir()
    asked = {name: (size,) for name, size in sizes.items()}
    ask = user_models.MeasureRequest(runtimes, (), (1,), None, 60, sizes=(asked,))
    subjects = [one.subject for one in user_models.prepare_subjects(models, ask, scratch)]
    return [found.failure for found in session.measure(subjects, RULES)]


def test_kinds_of_inputs(tmp_path: Path) -> None:
    models = [
        foreign_example.detector(tmp_path / "detector.onnx"),
        foreign_example.recurrent(tmp_path / "recurrent.onnx"),
        foreign_example.embedding(tmp_path / "embedding.onnx"),
        foreign_example.unary(tmp_path / "scalar.onnx", "Abs", []),
        foreign_example.unary(tmp_path / "empty.onnx", "Abs", ["N", 0]),
        foreign_example.unary(tmp_path / "bool.onnx", "Not", ["N", 3], TensorProto.BOOL),
        foreign_example.unary(tmp_path / "image.onnx", "Relu", [3, 8, 8]),
    ]
    found = measured(models, tmp_path / "scratch", sequence=5, height=4, width=6)
    assert found == [""] * 2 * len(models)


def test_strings_on_the_engine_that_takes_them(tmp_path: Path) -> None:
    words = foreign_example.unary(tmp_path / "w.onnx", "Identity", ["N"], TensorProto.STRING)
    assert measured([words], tmp_path / "a", ("onnxruntime",)) == [""]


def test_what_no_array_holds_is_named(tmp_path: Path) -> None:
    odd = foreign_example.unary(tmp_path / "odd.onnx", "Identity", ["N"], TensorProto.BFLOAT16)
    (failure,) = measured([odd], tmp_path / "a", ("onnxruntime",))
    assert "input 'x': got tensor(bfloat16)" in failure


def test_a_missing_size_is_told_before_anything_is_compiled(tmp_path: Path) -> None:
    first = foreign_example.unary(tmp_path / "first.onnx", "Relu", ["N"])
    net = foreign_example.unary(tmp_path / "net.onnx", "Relu", ["N", "rows"])
    with pytest.raises(InputError, match="want a number for each: rows"):
        measured([first, net], tmp_path / "a")
    assert not list((tmp_path / "a").glob("*/onnxruntime*"))
