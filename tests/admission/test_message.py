"""What is read of pieces is what protobuf reads of them."""

from __future__ import annotations

import mmap
import tempfile
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from onnx import onnx_ml_pb2

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
    inside(reader, found, want, depth)


def inside(reader: Reader, found: Message, want: Any, depth: int) -> None:
    for field in want.DESCRIPTOR.fields:
        children = [one for one in found.children if one.number == field.number]
        if not children:
            continue
        held = getattr(want, field.name)
        every = list(held) if field.is_repeated else [held]
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


@pytest.mark.parametrize("kind", list(message.CHILDREN))
def test_fields_are_those_of_onnx(kind: str) -> None:
    """Each field that is named is protobuf's own of that number, a list where a list is said."""
    names = {
        "sparse": "SparseTensorProto",
        "training": "TrainingInfoProto",
        "value": "ValueInfoProto",
    }
    names |= {"pair": "StringStringEntryProto"}
    if kind in ("nested type", "map type"):
        return
    described = getattr(onnx_ml_pb2, names.get(kind, f"{kind.capitalize()}Proto")).DESCRIPTOR
    for number, (_, many) in message.CHILDREN[kind].items():
        field = described.fields_by_number[number]
        assert field.message_type is not None and field.is_repeated is many
    for number in message.TEXTS.get(kind, ()):
        assert described.fields_by_number[number].cpp_type == 9
