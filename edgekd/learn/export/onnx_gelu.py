"""GELU in the order of factors by which ONNX Runtime knows it.

torch's exporter writes x (0.5 (1 + erf(x / sqrt 2))); ONNX Runtime makes one kernel, with the bias before it, of
(x (1 + erf(x / sqrt 2))) 0.5. Halving is exact: both are the same number.
"""

from __future__ import annotations

import numpy as np
import onnx

HALF = 0.5


def order_gelus(graph: onnx.GraphProto) -> None:
    """Write every GELU of `graph` in that order, in place."""
    makers = {name: node for node in graph.node for name in node.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    halves = {weight.name for weight in graph.initializer if _is_half(weight)}
    for halved in graph.node:
        pair = _other(halved, halves)
        if pair is None:
            continue
        half, sum_ = pair
        scaled = readers.get(halved.output[0], [])
        if len(scaled) != 1:
            continue
        x = next((name for name in scaled[0].input if name != halved.output[0]), None)
        if scaled[0].op_type != "Mul" or x is None or not _is_one_plus_erf(makers, sum_, x):
            continue
        last = scaled[0]
        del halved.input[:], last.input[:]
        halved.input.extend([x, sum_])
        last.input.extend([halved.output[0], half])


def _is_half(weight: onnx.TensorProto) -> bool:
    if weight.data_type != onnx.TensorProto.FLOAT or np.prod(list(weight.dims)) != 1:
        return False
    return float(onnx.numpy_helper.to_array(weight).reshape(())) == HALF


def _other(node: onnx.NodeProto, halves: set[str]) -> tuple[str, str] | None:
    """The half of a product, and what is halved."""
    if node.op_type != "Mul" or len(node.input) != 2:
        return None
    for one, other in (node.input, reversed(node.input)):
        if one in halves and other not in halves:
            return one, other
    return None


def _is_one_plus_erf(makers: dict[str, onnx.NodeProto], name: str, x: str) -> bool:
    """Return whether a value is 1 + erf(x / c)."""
    add = makers.get(name)
    if add is None or add.op_type != "Add":
        return False
    erf = next(
        (makers[one] for one in add.input if one in makers and makers[one].op_type == "Erf"), None
    )
    divided = makers.get(erf.input[0]) if erf is not None else None
    return divided is not None and divided.op_type in ("Div", "Mul") and x in divided.input
