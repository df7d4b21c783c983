"""Three products as one give the same numbers, of plain weights and of blocks of 4 bits; what differs stays."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd.learn.export import packing

WIDTH, HEADS, KEYS, SIZE, GROUP = 32, 4, 2, 8, 16


def attention(kind: str, *, biased: bool, odd: bool = False) -> onnx.ModelProto:
    """One attention over text [1, N, 32] of which only the products differ."""
    random, nodes, held = np.random.default_rng(0), [], dict[str, NDArray[np.generic]]()
    for name, outputs in (("q", HEADS * SIZE), ("k", KEYS * SIZE), ("v", KEYS * SIZE)):
        if kind == "MatMul":
            held[f"{name}_w"] = random.standard_normal((WIDTH, outputs)).astype(np.float32)
            nodes.append(helper.make_node("MatMul", ["x", f"{name}_w"], [f"{name}_p"]))
        else:
            blocks = (outputs, WIDTH // GROUP, GROUP // 2)
            held[f"{name}_w"] = random.integers(0, 256, blocks).astype(np.uint8)
            held[f"{name}_s"] = random.random((outputs, WIDTH // GROUP)).astype(np.float32)
            attributes = {"K": WIDTH, "N": outputs, "bits": 4, "block_size": GROUP}
            inputs = ["x", f"{name}_w", f"{name}_s"]
            made = helper.make_node(
                kind, inputs, [f"{name}_p"], domain="com.microsoft", **attributes
            )
            nodes.append(made)
        if biased or (odd and name == "k"):
            held[f"{name}_b"] = random.standard_normal(outputs).astype(np.float32)
            nodes.append(helper.make_node("Add", [f"{name}_p", f"{name}_b"], [f"{name}_a"]))
    ends = [node.output[0] for node in nodes if not any(node.output[0] in n.input for n in nodes)]
    held["lengths"], held["whole"] = np.array([4], np.int32), np.array([5], np.int32)
    nodes.append(
        helper.make_node(
            packing.ATTENTION,
            [*ends, "", "", "lengths", "whole"],
            ["y", "k_all", "v_all"],
            domain="com.microsoft",
            num_heads=HEADS,
            kv_num_heads=KEYS,
        )
    )
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5, WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def answer(proto: onnx.ModelProto) -> NDArray[np.float32]:
    x = np.random.default_rng(1).standard_normal((1, 5, WIDTH)).astype(np.float32)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize("kind", ["MatMul", "MatMulNBits"])
@pytest.mark.parametrize("biased", [False, True])
def test_one_product_gives_the_same(kind: str, biased: bool) -> None:
    proto = attention(kind, biased=biased)
    want = answer(proto)
    packing.pack_attention(proto.graph)
    assert [node.op_type for node in proto.graph.node].count(kind) == 1
    np.testing.assert_allclose(answer(proto), want, rtol=1e-4, atol=1e-5)


def test_products_that_differ_stay_as_they_are() -> None:
    proto = attention("MatMul", biased=False, odd=True)
    before = proto.SerializeToString()
    packing.pack_attention(proto.graph)
    assert proto.SerializeToString() == before


def test_outputs_that_nobody_takes_are_left_out() -> None:
    proto = attention("MatMul", biased=False)
    packing.drop_unused_outputs(proto.graph, "com.microsoft")
    assert list(proto.graph.node[-1].output) == ["y"]
