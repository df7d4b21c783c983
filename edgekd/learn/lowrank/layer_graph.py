"""A chain of layers at its real input shape as one small ONNX file, to be timed on a device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd.learn.export import to_onnx
from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank.chain import Chain
from edgekd.learn.lowrank.chain import PlainLayer

OPSET = 18
INPUT = "x"


def build_graph(parts: Chain, shape: Sequence[int]) -> bytes:
    """Return the file's bytes; the weights are drawn, since no engine is faster for other ones.

    The nodes are those that torch's exporter writes for the same layers.

    Args:
        parts: the chain.
        shape: of one input, without the batch; the batch is 1.
    """
    random = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    value, sizes = INPUT, tuple(shape)
    for number, part in enumerate(parts):
        goal = f"y{number}"
        made, held = _node(part, value, goal, len(sizes))
        nodes += made
        weights += [_drawn(random, name, size) for name, size in held.items()]
        value, sizes = goal, chain.output_shape(part, sizes)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *size])
        for name, size in ((INPUT, shape), (value, sizes))
    ]
    body = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(body, opset_imports=opsets, ir_version=10)
    data: bytes = to_onnx.strip_metadata(model).SerializeToString(deterministic=True)
    return data


def _node(
    part: PlainLayer, value: str, goal: str, rank: int
) -> tuple[list[onnx.NodeProto], dict[str, tuple[int, ...]]]:
    """The nodes of one layer, and the shapes of their weights by name."""
    weight, bias = f"{goal}.weight", f"{goal}.bias"
    more = [bias] if part.bias else []
    held: dict[str, tuple[int, ...]] = {bias: (part.outputs,)} if part.bias else {}
    if part.kernel is not None:
        (top, bottom), (left, right) = chain.padding_sizes(part)
        node = helper.make_node(
            "Conv",
            [value, weight, *more],
            [goal],
            kernel_shape=part.kernel,
            strides=part.stride,
            dilations=part.dilation,
            pads=[top, left, bottom, right],
        )
        return [node], {weight: (part.outputs, part.inputs, *part.kernel), **held}
    if rank == 1:  # [1, I], the batch and the channels
        node = helper.make_node("Gemm", [value, weight, *more], [goal], transB=1)
        return [node], {weight: (part.outputs, part.inputs), **held}
    held[weight] = (part.inputs, part.outputs)
    if not part.bias:
        return [helper.make_node("MatMul", [value, weight], [goal])], held
    product = f"{goal}.product"
    return [
        helper.make_node("MatMul", [value, weight], [product]),
        helper.make_node("Add", [product, bias], [goal]),
    ], held


def _drawn(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> onnx.TensorProto:
    values = random.standard_normal(shape, dtype=np.float32) / np.sqrt(np.prod(shape[1:]) or 1)
    return numpy_helper.from_array(values.astype(np.float32), name)
