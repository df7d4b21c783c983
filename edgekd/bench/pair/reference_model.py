"""A small real model written from bytes: `edgekd bench --self-check` needs no file and no onnx package.

Layers of one square matrix product and a Relu each, all of the same weights: about 0.3 ms on one
thread of a server core, and as much longer as it has more layers.
"""

from __future__ import annotations

from collections.abc import Iterable

SIDE = 256
LAYERS = 100
OPSET, IR_VERSION = 17, 8
FLOAT = 1
VARINT, BYTES = 0, 2


def make_model(layers: int = LAYERS, side: int = SIDE, batch: int | None = None) -> bytes:
    """An ONNX file: x [N, side] float32 -> y [N, side] after `layers` layers; N free or `batch`."""
    nodes = []
    for number in range(layers):
        source = "x" if number == 0 else f"r{number - 1}"
        goal = "y" if number == layers - 1 else f"r{number}"
        nodes += [_node("MatMul", [source, "w"], f"m{number}"), _node("Relu", [f"m{number}"], goal)]
    graph = [_field(1, node) for node in nodes]
    graph += [_field(2, b"yardstick"), _field(5, _weights(side))]
    graph += [_field(11, _value("x", side, batch)), _field(12, _value("y", side, batch))]
    opset = _number(2, OPSET)
    return _join([_number(1, IR_VERSION), _field(7, _join(graph)), _field(8, opset)])


def _weights(side: int) -> bytes:
    """TensorProto ``w``: an orthogonal matrix (Householder), so that values neither grow nor vanish."""
    import numpy as np

    ones = np.full((side, 1), side**-0.5)
    matrix = (np.eye(side) - 2 * ones @ ones.T).astype("<f4")
    sizes = [_number(1, side), _number(1, side)]
    return _join([*sizes, _number(2, FLOAT), _field(8, b"w"), _field(9, matrix.tobytes())])


def _node(kind: str, inputs: Iterable[str], output: str) -> bytes:
    """NodeProto of one output."""
    names = [_field(1, name.encode()) for name in inputs]
    return _join([*names, _field(2, output.encode()), _field(4, kind.encode())])


def _value(name: str, side: int, batch: int | None) -> bytes:
    """ValueInfoProto of a float32 [N, side]."""
    rows = _field(2, b"N") if batch is None else _number(1, batch)
    tensor = _join([_number(1, FLOAT), _field(2, _field(1, rows) + _field(1, _number(1, side)))])
    return _join([_field(1, name.encode()), _field(2, _field(1, tensor))])


def _field(number: int, data: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return _varint(number << 3 | BYTES) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    """A varint protobuf field."""
    return _varint(number << 3 | VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def _join(parts: Iterable[bytes]) -> bytes:
    return b"".join(parts)
