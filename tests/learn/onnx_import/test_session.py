"""A file as ONNX Runtime answers it: many samples of one whose batch is fixed, and what has no batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import helper

from edgekd.errors import InputError
from edgekd.learn.onnx_import.session import OnnxFile
from edgekd.learn.onnx_import.session import OnnxSession
from edgekd.learn.onnx_import.session import describe_obstacle_to_batches
from tests.onnx_example import classifier
from tests.onnx_example import make_model


@pytest.mark.parametrize("batch", ["n", 1, 2, 4])
def test_samples_are_answered_alike_whatever_the_file_fixes(batch: int | str) -> None:
    x = np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)
    session = OnnxSession(classifier(batch).SerializeToString(), "m.onnx")
    want = OnnxSession(classifier().SerializeToString(), "m.onnx").answer({"x": x})
    np.testing.assert_allclose(
        session.answer({"x": x})["probabilities"], want["probabilities"], 1e-5
    )
    assert not describe_obstacle_to_batches(session)


def test_the_file_is_a_module_with_its_bytes_among_its_weights() -> None:
    data = classifier(1).SerializeToString()
    module, again = OnnxFile(data), OnnxFile(bytes(len(data)))
    again.load_state_dict(module.state_dict())
    x = torch.ones(2, 3, 8, 8)
    assert torch.equal(module(x), again(x))


def test_weights_are_counted_in_branches_too_and_sizes_are_none() -> None:
    end = helper.make_tensor_value_info("z", 1, [2])
    values = helper.make_tensor("v", 1, [2], [1.0, 2.0])
    branch = helper.make_graph(
        [helper.make_node("Constant", [], ["z"], value=values)], "b", [], [end]
    )
    nodes = [
        helper.make_node("Reshape", ["x", "size"], ["r"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch),
    ]
    weights = {"size": np.array([2]), "c": np.array(True), "w": np.zeros((3, 4), np.float32)}
    model = make_model(nodes, {"x": [2]}, {"y": [2]}, weights)
    assert OnnxFile(model.SerializeToString()).count_weights() == 12 + 2 + 2


def test_what_is_no_model_and_other_inputs_are_refused_in_a_line() -> None:
    with pytest.raises(InputError, match=r"m\.onnx: ONNX Runtime refuses it"):
        OnnxSession(b"no model", "m.onnx")
    session = OnnxSession(classifier().SerializeToString(), "m.onnx")
    with pytest.raises(InputError, match=r"m\.onnx: x: got .*, want float32 \[batch, 3, 8, 8\]$"):
        session.answer({"x": np.ones((2, 3, 9, 9), np.float32)})


def test_with_an_axis_more_each_sample_is_a_whole_call() -> None:
    nodes = [helper.make_node("Mul", ["a", "b"], ["y"])]
    model = make_model(nodes, {"a": [2, "n"], "b": []}, {"y": [2, "n"]})
    session = OnnxSession(model.SerializeToString(), "m")
    a, b = np.ones((3, 2, 5), np.float32), np.arange(3, dtype=np.float32)
    assert session.takes_whole({"a": 3, "b": 1}) and not session.takes_whole({"a": 2, "b": 1})
    answered = session.answer({"a": a, "b": b})["y"]
    assert answered.shape == (3, 2, 5) and answered[:, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"a": ["n", 2], "b": ["n", 2]}, ""),
        ({"a": [1, 2], "b": [1, 2]}, ""),
        ({"a": [], "b": ["n", 2]}, "'a' is a single number"),
        ({"a": ["n", 2], "b": [2, 2]}, "first axes of its inputs differ (a n, b 2)"),
        ({"a": [1, 2], "b": [2, 2]}, "first axes of its inputs differ (a 1, b 2)"),
    ],
)
def test_what_counts_no_samples_is_told(inputs: dict[str, list[object]], words: str) -> None:
    model = make_model([helper.make_node("Add", ["a", "b"], ["y"])], inputs, {"y": ["n", 2]})
    found = describe_obstacle_to_batches(OnnxSession(model.SerializeToString(), "m"))
    assert words in found and bool(words) == bool(found)
