"""Kinds of inputs that strangers' models have, each run on both engines in a worker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd.bench import session
from edgekd.bench import user_models
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.bench.user_inputs import UserInputs
from edgekd.errors import InputError
from tests import foreign_example
from tests import text_example

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
    return [found.failure for found in session.measure_subjects(subjects, RULES)]


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


def test_masks_are_ones_and_tokens_are_below_the_vocabulary_at_every_size(tmp_path: Path) -> None:
    model = text_example.write_onnx(tmp_path / "text.onnx")
    sizes = ({"tokens": (5,)}, {"tokens": (9,)})
    ask = user_models.MeasureRequest(BOTH, (), (1,), None, 60, sizes=sizes)
    subjects = [one.subject for one in user_models.prepare_subjects([model], ask, tmp_path)]
    assert [subject.call.label for subject in subjects] == ["tokens=5", "tokens=9"] * 2
    for subject in subjects:
        text, mask = subject.call.inputs["text"], subject.call.inputs["text_mask"]
        assert (text.high, text.value) == (text_example.VOCABULARY, None)
        assert mask.value == 1 and mask.shape == text.shape
    assert [found.failure for found in session.measure_subjects(subjects, RULES)] == [""] * 4
    own = user_models.MeasureRequest(
        BOTH[:1], (), (1,), None, 60, sizes=sizes[:1], inputs=UserInputs(values={"text_mask": 0.0})
    )
    (tmp_path / "own").mkdir()
    prepared = user_models.prepare_subjects([model], own, tmp_path / "own")
    (subject,) = (one.subject for one in prepared)
    assert subject.call.inputs["text_mask"].value == 0


def test_a_size_that_an_engine_cannot_take_is_one_line(tmp_path: Path) -> None:
    """Eight positions are added to the tokens."""
    held = {
        "table": np.ones((11, 4), np.float32),
        "positions": np.ones((8, 4), np.float32),
        "axes": np.asarray([1]),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["embedded"]),
        helper.make_node("Add", ["embedded", "positions"], ["placed"]),
        helper.make_node("ReduceSum", ["placed", "axes"], ["y"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "m.onnx")
    assert measured([tmp_path / "m.onnx"], tmp_path / "8", tokens=8) == ["", ""]
    for failure in measured([tmp_path / "m.onnx"], tmp_path / "9", tokens=9):
        assert "refuses" in failure and "\n" not in failure.strip()
