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
        Node("Cast", ["q"], ["y"], onnx.TensorProto.FLOAT16, "c"),
    ]
    assert read.constants == {"s": None, "z": 3}
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


ZERO = onnx.TensorProto.INT8


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("value", [-128, -1, 0, 127])
def test_a_zero_point_is_read_however_it_is_stored(tmp_path: Path, raw: bool, value: int) -> None:
    held = value.to_bytes(1, signed=True) if raw else [value]
    zeros = [
        helper.make_tensor("one", ZERO, [], held, raw=raw),
        helper.make_tensor("two", ZERO, [2], held * 2, raw=raw),
    ]
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], zeros)), tmp_path / "m.onnx")
    assert graph.read(tmp_path / "m.onnx").constants == {"one": value, "two": None}


def test_what_onnx_runtimes_own_operators_give() -> None:
    u8, f32 = graph.NUMBERS["u8"], graph.NUMBERS["f32"]
    gemm = ["x", "s", "z", "w", "s", "z", "b"]
    nodes = [
        Node("QGemm", [*gemm, "s", "z"], ["codes"], 0),
        Node("QGemm", [*gemm, "", ""], ["logits"], 0),
        Node("QGemm", gemm, ["more"], 0),
        Node("MatMulIntegerToFloat", ["x", "w", "s", "s"], ["scores"], 0),
        Node("Mul", ["scores", "s"], ["scaled"], 0),
        Node("QuantizeLinear", ["scaled", "s"], ["again"], 0),
    ]
    known = graph.Graph(nodes, {"x": u8, "w": u8, "z": u8, "s": f32}, {})
    found = graph.element_types(known)
    assert [found[name] for name in ("codes", "logits", "more")] == [u8, f32, f32]
    assert [found[name] for name in ("scores", "scaled", "again")] == [f32, f32, u8]


def test_no_model(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\xff" * 20)
    with pytest.raises(ValueError, match="want an ONNX model"):
        graph.read(tmp_path / "m.onnx")
