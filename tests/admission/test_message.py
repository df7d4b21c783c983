"""What is read of pieces is what protobuf reads of them."""

from __future__ import annotations

import mmap
import operator
import tempfile
from collections import deque
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from onnx import onnx_ml_pb2

from edgekd import wire
from edgekd.admission import message
from edgekd.admission.message import Child
from edgekd.admission.message import Message
from edgekd.admission.message import Reader

NAMES = st.sampled_from(["", "a", "b", "long name"])
TENSORS = st.builds(
    lambda dims, name, place: onnx.TensorProto(dims=dims, name=name, data_location=place),
    st.lists(st.integers(0, 2**40), max_size=3),
    NAMES,
    st.sampled_from([0, 1]),
)
ATTRIBUTES = st.builds(
    lambda name, tensor, tensors: onnx.AttributeProto(name=name, t=tensor, tensors=tensors),
    NAMES,
    TENSORS,
    st.lists(TENSORS, max_size=2),
)
NODES = st.builds(
    lambda op, domain, names, attributes: onnx.NodeProto(
        op_type=op, domain=domain, input=names, attribute=attributes
    ),
    NAMES,
    NAMES,
    st.lists(NAMES, max_size=3),
    st.lists(ATTRIBUTES, max_size=2),
)
GRAPHS = st.builds(
    lambda nodes, tensors: onnx.GraphProto(node=nodes, initializer=tensors),
    st.lists(NODES, max_size=3),
    st.lists(TENSORS, max_size=2),
)
CLASSES = {
    "model": onnx.ModelProto,
    "graph": onnx.GraphProto,
    "node": onnx.NodeProto,
    "attribute": onnx.AttributeProto,
    "tensor": onnx.TensorProto,
}


def read(data: bytes) -> tuple[Reader, mmap.mmap]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 (the map holds it)
    file.write(data)
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    file.close()
    return Reader(mapped), mapped


def same(reader: Reader, child: Child, want: Any, depth: int = 0) -> None:
    """Hold what is read of `child` to protobuf's message `want`, down to the last."""
    found = reader.message(child, depth)
    for number in message.TEXTS.get(child.kind, ()):
        held = getattr(want, want.DESCRIPTOR.fields_by_number[number].name)
        if isinstance(held, str):
            assert found.text(number).decode() == held
        else:
            assert [text.decode() for text in found.texts.get(number, [])] == list(held)
    for number in message.NUMBERS.get(child.kind, ()):
        held = getattr(want, want.DESCRIPTOR.fields_by_number[number].name)
        numbers = found.numbers.get(number, [])
        assert (numbers[-1] if numbers else 0) == held if isinstance(held, int) else numbers == held
    inside(reader, child.kind, found, want, depth)


def inside(reader: Reader, kind: str, found: Message, want: Any, depth: int) -> None:
    for number in message.CHILDREN[kind]:
        field = want.DESCRIPTOR.fields_by_number[number]
        children = [one for one in found.children if one.number == number]
        held = getattr(want, field.name)
        every = list(held) if field.is_repeated else [held] * want.HasField(field.name)
        assert len(children) == len(every)
        for child, one in zip(children, every, strict=True):
            if child.kind in CLASSES:
                same(reader, child, one, depth + 1)


@settings(deadline=None, max_examples=60)
@given(st.lists(GRAPHS, min_size=1, max_size=3))
def test_pieces_of_a_model_are_one(parts: list[onnx.GraphProto]) -> None:
    data = b"".join(onnx.ModelProto(graph=part).SerializeToString() for part in parts)
    reader, mapped = read(data)
    same(reader, Child(0, "model", ((0, len(data)),)), onnx.ModelProto.FromString(data))
    mapped.close()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(TENSORS, ATTRIBUTES, NODES), min_size=1, max_size=4))
def test_pieces_of_anything_are_one(parts: list[Any]) -> None:
    kind = type(parts[0]).__name__.removesuffix("Proto").lower()
    alike = [part for part in parts if type(part) is type(parts[0])]
    data = b"".join(part.SerializeToString() for part in alike)
    if data:
        reader, mapped = read(data)
        same(reader, Child(0, kind, ((0, len(data)),)), CLASSES[kind].FromString(data))
        mapped.close()


@pytest.mark.parametrize("kind", CLASSES)
def test_a_field_that_is_encoded_as_another_type_is_not_read(kind: str) -> None:
    """protobuf skips it as one that it does not know."""
    numbers = {
        *message.CHILDREN[kind],
        *message.TEXTS.get(kind, ()),
        *message.NUMBERS.get(kind, {}),
    }
    contents = {
        wire.VARINT: b"\x01",
        wire.FIXED64: b"\x01" * 8,
        wire.BYTES: b"\x02\x08\x01",
        wire.FIXED32: b"\x01" * 4,
    }
    for number in numbers:
        for encoding, content in contents.items():
            data = wire.encode_varint(number << 3 | encoding) + content
            reader, mapped = read(data)
            same(reader, Child(0, kind, ((0, len(data)),)), CLASSES[kind].FromString(data))
            mapped.close()


KINDS = {
    "ModelProto": "model",
    "TrainingInfoProto": "training",
    "GraphProto": "graph",
    "NodeProto": "node",
    "AttributeProto": "attribute",
    "SparseTensorProto": "sparse",
    "TensorProto": "tensor",
    "FunctionProto": "function",
    "ValueInfoProto": "value",
    "TypeProto": "type",
    "TypeProto.Sequence": "nested type",
    "TypeProto.Optional": "nested type",
    "TypeProto.Map": "map type",
    "StringStringEntryProto": "pair",
}


def described(name: str) -> Any:
    """protobuf's own description of a message."""
    return operator.attrgetter(name)(onnx_ml_pb2).DESCRIPTOR


def number_of(field: str) -> int:
    """The number of ``Message.field`` by protobuf's own description."""
    owner, name = field.rsplit(".", 1)
    number: int = described(owner).fields_by_name[name].number
    return number


@pytest.mark.parametrize("name", KINDS)
def test_messages_inside_a_message_are_those_of_onnx(name: str) -> None:
    """All of those that may hold a weight, a name or a type, each a list where ONNX says so."""
    want = {
        field.number: (kind, field.is_repeated)
        for field in described(name).fields
        if field.message_type
        and (kind := KINDS.get(field.message_type.full_name.removeprefix("onnx.")))
        and (kind != "pair" or field.name == "external_data")
    }
    assert message.CHILDREN[KINDS[name]] == want
    for number in message.TEXTS.get(KINDS[name], ()):
        assert described(name).fields_by_number[number].cpp_type == 9
    for number, many in message.NUMBERS.get(KINDS[name], {}).items():
        field = described(name).fields_by_number[number]
        assert field.is_repeated is many and not field.message_type


def test_field_numbers_are_those_of_onnx() -> None:
    numbers = {
        "GraphProto.input": message.GRAPH_INPUT,
        "GraphProto.output": message.GRAPH_OUTPUT,
        "NodeProto.input": message.NODE_INPUT,
        "NodeProto.output": message.NODE_OUTPUT,
        "TensorProto.dims": message.TENSOR_DIMS,
        "TensorProto.data_type": message.TENSOR_TYPE,
        "TensorProto.name": message.TENSOR_NAME,
        "TensorProto.raw_data": message.TENSOR_RAW,
        "TensorProto.external_data": message.TENSOR_EXTERNAL,
        "TensorProto.data_location": message.TENSOR_LOCATION,
        "FunctionProto.output": message.FUNCTION_OUTPUT,
        "SparseTensorProto.values": message.SPARSE_VALUES,
        "SparseTensorProto.dims": message.SPARSE_DIMS,
        "ValueInfoProto.name": message.VALUE_NAME,
    }
    assert numbers == {field: number_of(field) for field in numbers}
    keys = {"NodeProto": "domain op_type overload", "FunctionProto": "domain name overload"}
    assert tuple(
        tuple(number_of(f"{owner}.{name}") for name in names.split())
        for owner, names in keys.items()
    ) == (message.NODE_KEY, message.FUNCTION_KEY)
    pair = [number_of(f"StringStringEntryProto.{name}") for name in ("key", "value")]
    assert message.TEXTS["pair"] == set(pair)


@pytest.mark.parametrize(
    "data", [b"\x08\x05" * 10, b"\x0a\x09" + b"\x05" * 9], ids=["single", "packed"]
)
def test_every_field_and_every_packed_number_counts(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten of them: ten dimensions, or a field with nine."""
    dims = onnx.TensorProto.FromString(data).dims
    child = Child(0, "tensor", ((0, len(data)),))
    monkeypatch.setattr(message, "MAX_FIELDS", 10)
    reader, mapped = read(data)
    assert reader.message(child, 0).numbers[message.TENSOR_DIMS] == dims
    monkeypatch.setattr(message, "MAX_FIELDS", 9)
    with pytest.raises(ValueError, match="split beyond reason"):
        Reader(mapped).message(child, 0)
    mapped.close()


def test_five_million_fields_are_read_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    thousand = [wire.WireField(1, wire.VARINT, 0, 0)] * 1000
    monkeypatch.setattr(message, "read_fields", lambda data, start, end: thousand)
    reader, mapped = read(b"x")
    deque(reader.fields(((0, 1),) * 5000), maxlen=0)
    with pytest.raises(ValueError, match="split beyond reason"):
        next(reader.fields(((0, 1),)))
    mapped.close()
