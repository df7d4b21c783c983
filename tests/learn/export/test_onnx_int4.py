"""Codes of four bits, two a byte, as ONNX packs them."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import onnx
import onnx.reference
import pytest
from hypothesis import given
from hypothesis import settings
from onnx import TensorProto
from onnx import helper

from edgekd.learn.export import onnx_int4


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(-8, 7), min_size=1, max_size=9))
def test_onnx_reads_them_back(values: list[int]) -> None:
    codes = np.array(values, np.int8)
    tensor = helper.make_tensor(
        "x", TensorProto.INT4, [len(values)], onnx_int4.pack_nibbles(codes), raw=True
    )
    assert onnx.numpy_helper.to_array(tensor).astype(np.int8).tolist() == values


def model(opset: int) -> onnx.ModelProto:
    weight = onnx.numpy_helper.from_array(np.array([[1, -7]], np.int8), "w.packed")
    out = helper.make_tensor_value_info("y", TensorProto.INT8, [1, 2])
    graph = helper.make_graph(
        [helper.make_node("Identity", ["w.packed"], ["y"])], "g", [], [out], [weight]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def test_a_cast_stands_where_the_weight_did() -> None:
    proto = model(21)
    onnx_int4.pack_int4(proto)
    onnx.checker.check_model(proto)
    assert [node.op_type for node in proto.graph.node] == ["Cast", "Identity"]
    session = onnx.reference.ReferenceEvaluator(proto)
    assert session.run(None, {})[0].tolist() == [[1, -7]]


def test_an_old_operator_set_is_refused() -> None:
    with pytest.raises(ValueError, match="opset: got 18, want at least 21"):
        onnx_int4.pack_int4(model(18))
