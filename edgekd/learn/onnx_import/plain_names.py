"""Plain names for inputs and outputs of an ONNX file that are called otherwise: some hold JSON, or a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping

import onnx

from edgekd.interface import NAME

LONGEST = 60
_OTHER = re.compile(r"[^A-Za-z0-9]+")


def give_plain_names(data: bytes) -> bytes:
    """The file with plain names of its inputs and outputs, whose doc strings hold their old ones; the file itself where
    they are plain already, or where it cannot be read.

    Args:
        data: a file that was admitted and holds all of its weights.
    """
    try:
        proto = onnx.load_from_string(data)
    except Exception:  # protobuf's own
        return data
    names = _choose_names(proto.graph)
    if not names:
        return data
    for end in (*proto.graph.input, *proto.graph.output):
        if end.name in names:
            end.doc_string = end.name
    rename_values(proto.graph, names)
    return bytes(proto.SerializeToString())


def _choose_names(graph: onnx.GraphProto) -> dict[str, str]:
    taken = set(list_names(graph))
    found: dict[str, str] = {}
    for kind, ends in (("input", graph.input), ("output", graph.output)):
        for end in ends:
            if NAME.fullmatch(end.name) or end.name in found:
                continue
            plain = _OTHER.sub("_", end.name).strip("_")[:LONGEST] or kind
            numbered = (f"{plain}_{number}" for number in range(2, len(taken) + 3))
            name = plain if plain not in taken else next(n for n in numbered if n not in taken)
            taken.add(name)
            found[end.name] = name
    return found


def list_names(graph: onnx.GraphProto) -> Iterator[str]:
    """Names of all values, those of subgraphs among them, some more than once."""
    for node in graph.node:
        yield from (*node.input, *node.output)
        for inner in _inner(node):
            yield from list_names(inner)
    for value in (*graph.input, *graph.output, *graph.initializer):
        yield value.name


def _inner(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for word in node.attribute:
        if word.HasField("g"):
            yield word.g
        yield from word.graphs


def rename_values(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """In place, in subgraphs too: they may read what is around them."""
    for node in graph.node:
        for listed in (node.input, node.output):
            listed[:] = [names.get(name, name) for name in listed]
        for inner in _inner(node):
            rename_values(inner, names)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
