from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import helper

from edgekd import graph
from edgekd.graph import Node


def test_it_reads_what_the_onnx_package_writes(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("Cast", ["q"], ["y"], to=onnx.TensorProto.FLOAT16, name="c"),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, ["N", 3])],
        [
            helper.make_tensor("s", onnx.TensorProto.FLOAT, [], [0.5]),
            helper.make_tensor("z", onnx.TensorProto.UINT8, [], [3]),
        ],
    )
    onnx.save(helper.make_model(made), tmp_path / "m.onnx")
    read = graph.read(tmp_path / "m.onnx")
    assert read.nodes == [
        Node("QuantizeLinear", ["x", "s", "z"], ["q"], 0),
        Node("Cast", ["q"], ["y"], onnx.TensorProto.FLOAT16),
    ]
    named = {name: graph.ELEMENTS[element] for name, element in read.elements.items()}
    assert named == {"x": "f32", "y": "f16", "s": "f32", "z": "u8"}


def test_short_names_are_onnxs() -> None:
    long = {
        "f": "FLOAT",
        "bf": "BFLOAT",
        "i": "INT",
        "u": "UINT",
        "string": "STRING",
        "bool": "BOOL",
    }
    for number, short in graph.ELEMENTS.items():
        letters = short.rstrip("0123456789")
        name = long[letters] + short[len(letters) :]
        name = {"FLOAT32": "FLOAT", "FLOAT64": "DOUBLE"}.get(name, name)
        assert onnx.TensorProto.DataType.Name(number) == name


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\xff" * 20)
    with pytest.raises(ValueError, match="want an ONNX model"):
        graph.read(tmp_path / "m.onnx")
