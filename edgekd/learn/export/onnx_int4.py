"""Weights of four bits, stored two a byte and cast to int8 where they are read.

Engines fold the cast while they load and run their int8 kernels; a DequantizeLinear that reads int4
itself leaves a convolution in float, at half its speed (measured: benchmarks/kernels).
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper

PACKED = ".packed"
"""How the names of such weights end."""
OPSET = 21
"""The first operator set that has int4."""


def pack_int4(proto: onnx.ModelProto) -> None:
    """Store the weights named so in four bits, in place.

    Raises:
        ValueError: if the operator set is too old for int4.
    """
    graph = proto.graph
    chosen = [weight for weight in graph.initializer if weight.name.endswith(PACKED)]
    version = {entry.domain: entry.version for entry in proto.opset_import}.get("", 0)
    if chosen and version < OPSET:
        raise ValueError(f"opset: got {version}, want at least {OPSET} for weights of 4 bits")
    casts = []
    for weight in chosen:
        codes = onnx.numpy_helper.to_array(weight)
        name, shape = weight.name, codes.shape
        weight.CopyFrom(
            helper.make_tensor(f"{name}4", TensorProto.INT4, shape, pack_nibbles(codes), raw=True)
        )
        casts.append(helper.make_node("Cast", [f"{name}4"], [name], to=TensorProto.INT8))
    for number, cast in enumerate(casts):
        graph.node.insert(number, cast)


def pack_nibbles(codes: np.ndarray) -> bytes:
    """Pack codes in [-8, 7] two a byte, the first in the low half."""
    flat = codes.astype(np.int8).ravel()
    if len(flat) % 2:
        flat = np.append(flat, np.int8(0))
    halves = flat.view(np.uint8) & 0xF
    return (halves[0::2] | (halves[1::2] << 4)).tobytes()
