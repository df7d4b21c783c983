"""What a user's file answers stands for labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgekd.learn.model_answers import add_answers
from edgekd.learn.source import AS_GIVEN
from edgekd.learn.source import FieldWords
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


@pytest.mark.parametrize("kind", ["shares a maximum", "takes one alone", "keeps samples apart"])
def test_samples_that_a_call_mixes_become_whole_calls(tmp_path: Path, kind: str) -> None:
    nodes = {
        "shares a maximum": [node("ReduceMax", ["x"], ["m"]), node("Sub", ["x", "m"], ["y"])],
        "takes one alone": [node("Reshape", ["x", "one"], ["y"])],
        "keeps samples apart": [node("Relu", ["x"], ["y"])],
    }
    weights = {"one": np.array([1, 2])} if kind == "takes one alone" else {}
    model = make_model(nodes[kind], {"x": ["n", 2]}, {"y": ["n", 2]}, weights)
    onnx.save(model, tmp_path / "m.onnx")
    rows = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    whole = kind != "keeps samples apart"
    source = Source({"train": {"x": rows}, "test": {"x": rows[:3]}}, {"x": AS_GIVEN})
    made = add_answers(source, tmp_path / "m.onnx", {}, "data.source")
    assert whole == any("answers samples of one call otherwise" in note for note in made.notes)
    for split, given in made.splits.items():
        alone = np.stack([run_model(model, row[None])[0] for row in source.splits[split]["x"]])
        want = alone if whole else alone[:, 0]
        np.testing.assert_array_equal(given["y"], want)
        assert given["x"].shape == given["y"].shape


def test_pictures_whose_call_is_mixed_are_given_as_arrays(tmp_path: Path) -> None:
    nodes = [node("ReduceMax", ["x"], ["m"]), node("Sub", ["x", "m"], ["y"])]
    sizes = ["n", 3, 4, 4]
    onnx.save(make_model(nodes, {"x": sizes}, {"y": sizes}), tmp_path / "m.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3)).astype(np.uint8)
    source = Source({"train": {"images": pixels}}, {"images": FieldWords("image")})
    preprocessing = {"mean": (0.0, 0.0, 0.0), "std": (0.5, 0.5, 0.5)}
    made = add_answers(source, tmp_path / "m.onnx", preprocessing, "data.source")
    assert made.fields["x"].kind == "array"
    want = (pixels / 255 / 0.5).transpose(0, 3, 1, 2)[:, None]
    np.testing.assert_allclose(made.splits["train"]["x"], want, rtol=1e-6)
