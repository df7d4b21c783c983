"""What of a file is read, and in which words it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgekd.errors import InputError
from edgekd.learn.onnx_import.reading import find_obstacle
from edgekd.learn.onnx_import.reading import read_model
from tests.onnx_example import classifier
from tests.onnx_example import make_model


@pytest.mark.parametrize(
    ("operators", "words"),
    [
        (["Conv", "If"], "control flow (If)"),
        (["Loop", "Scan", "Conv"], "control flow (Loop, Scan)"),
        (["Conv", "QuantizeLinear"], "quantized already: it has QuantizeLinear"),
        (["DynamicQuantizeLinear", "If"], "quantized already"),
        (["QLinearConv"], "quantized already"),
        (["com.microsoft.FusedConv"], "not imported: com.microsoft.FusedConv"),
        (["A", "B", "C", "D", "E"], "A, B, C and 2 more"),
        (["Conv", "Relu"], ""),
    ],
)
def test_an_obstacle_is_named(operators: list[str], words: str) -> None:
    found = find_obstacle(operators)
    assert (words in found) if words else not found


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"a\.onnx: got no ONNX model"):
        read_model(path)


def test_sixteen_bit_weights_are_said(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = make_model([node], {"x": [1, 4]}, {"y": [1, 4]}, {"w": np.eye(4, dtype=np.float16)})
    path = tmp_path / "a.onnx"
    onnx.save(model, path)
    with pytest.raises(InputError, match="16-bit floats, want a float32 file"):
        read_model(path)


def test_weights_that_stand_among_the_inputs_are_none(tmp_path: Path) -> None:
    model = classifier()
    for weight in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        )
    path = tmp_path / "a.onnx"
    onnx.save(model, path)
    assert read_model(path).graph.inputs == ("x",)


def test_functions_of_a_file_are_written_out(tmp_path: Path) -> None:
    node = helper.make_node
    twice = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    model = make_model([node("Twice", ["x"], ["y"], domain="own")], {"x": [1, 4]}, {"y": [1, 4]})
    model.functions.append(twice)
    model.opset_import.append(helper.make_opsetid("own", 1))
    path = tmp_path / "a.onnx"
    onnx.save(model, path)
    assert [each.op for each in read_model(path).graph.nodes] == ["Add"]
