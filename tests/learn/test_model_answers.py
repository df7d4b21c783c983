"""What a user's file answers stands for labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgekd.learn.model_answers import add_answers
from edgekd.learn.source import AS_GIVEN
from edgekd.learn.source import Source
from tests.onnx_example import make_model
from tests.onnx_example import run_model

node = helper.make_node
ODD = '{"1": "a minute"}'


def answered(path: Path, bias: float, *, probable: bool = True) -> tuple[Source, np.ndarray]:
    nodes = [
        node("Add", ["x", "bias"], ["shifted"]),
        node("Sigmoid" if probable else "Identity", ["shifted"], [ODD]),
    ]
    weights = {"bias": np.array([bias], np.float32)}
    model = make_model(nodes, {"x": ["n", 2]}, {ODD: ["n", 2]}, weights)
    onnx.save(model, path)
    rows = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    source = Source({"train": {"anything": rows}}, {"anything": AS_GIVEN})
    (want,) = run_model(model, rows)
    return add_answers(source, path, {}, "data.source"), want


@pytest.mark.parametrize(
    ("bias", "probable", "is_still"),
    [(0, True, False), (-14, True, True), (0, False, False), (1000, False, True)],
)
def test_answers_are_the_file_s_and_a_note_says_where_they_hardly_vary(
    tmp_path: Path, bias: float, probable: bool, is_still: bool
) -> None:
    source, want = answered(tmp_path / "m.onnx", bias, probable=probable)
    assert source.answers == ("1_a_minute",)
    np.testing.assert_array_equal(source.splits["train"]["1_a_minute"], want)
    assert source.fields["1_a_minute"].words == ({"size": 1.0} if probable else {})
    assert bool(source.notes) == is_still
    assert all("1_a_minute: the file's answers hardly vary" in note for note in source.notes)
