"""An ONNX graph as plain values: its operators, its small constants, and the shapes of its weights; JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Constant = NDArray[Any]


class OnnxNode(NamedTuple):
    """One operator."""

    op: str
    """ONNX's name of it, its domain before it where that is not ONNX's own."""
    inputs: tuple[str, ...]
    """Names of values; an empty one is left out."""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = {}
    """Numbers, texts and lists of them."""
    name: str = ""


class WeightShape(NamedTuple):
    """Type and sizes of a weight."""

    dtype: str
    """numpy's name."""
    sizes: tuple[int, ...]


class OnnxGraph(NamedTuple):
    """All of a model but its weights."""

    nodes: tuple[OnnxNode, ...]
    """In an order in which they can run."""
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Constant]
    """What no training changes: sizes, axes, single numbers."""
    weights: Mapping[str, WeightShape]
    opset: int
    """The version of ONNX's own operators."""


class OnnxModel(NamedTuple):
    """A graph with its weights."""

    graph: OnnxGraph
    weights: Mapping[str, Constant]


def to_text(graph: OnnxGraph) -> str:
    """The graph as JSON; `from_text` gives it back."""
    constants = {
        name: [value.dtype.name, list(value.shape), value.ravel().tolist()]
        for name, value in graph.constants.items()
    }
    return json.dumps(
        {
            "nodes": [[*node[:3], dict(node.attributes), node.name] for node in graph.nodes],
            "inputs": graph.inputs,
            "outputs": graph.outputs,
            "constants": constants,
            "weights": graph.weights,
            "opset": graph.opset,
        },
        separators=(",", ":"),
    )


def from_text(text: str) -> OnnxGraph:
    """The graph that `to_text` wrote, in which a stranger may have written, too.

    Raises:
        ValueError: if it is none.
    """
    try:
        value = json.loads(text)
        return OnnxGraph(
            tuple(
                OnnxNode(str(op), tuple(map(str, takes)), tuple(map(str, gives)), dict(words), name)
                for op, takes, gives, words, name in value["nodes"]
            ),
            tuple(map(str, value["inputs"])),
            tuple(map(str, value["outputs"])),
            {
                name: np.array(items, dtype).reshape(sizes)
                for name, (dtype, sizes, items) in value["constants"].items()
            },
            {
                name: WeightShape(str(dtype), tuple(map(int, sizes)))
                for name, (dtype, sizes) in value["weights"].items()
            },
            int(value["opset"]),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"graph: got {type(error).__name__}: {error}, want a graph") from error
