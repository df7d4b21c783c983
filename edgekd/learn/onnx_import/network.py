"""An imported graph as a module of torch: a submodule an operator, which holds the weights it alone reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.onnx_import.graph import OnnxGraph
from edgekd.learn.onnx_import.graph import OnnxNode
from edgekd.learn.onnx_import.operators import OPERATORS
from edgekd.learn.onnx_import.values import Attributes
from edgekd.learn.onnx_import.values import Outputs
from edgekd.learn.onnx_import.values import Value
from edgekd.learn.onnx_import.values import as_tensor

LAYER_WEIGHTS = ("", "weight", "bias")
"""What the inputs of a layer are called; of other operators by number."""
STATISTICS = {3: "running_mean", 4: "running_var"}
"""What a batch norm has that no gradient reaches."""
BATCH_NORM = "BatchNormalization"
LONGEST_NAME = 60


class OnnxOperator(nn.Module):
    """One operator and its own weights."""

    def __init__(
        self, node: OnnxNode, opset: int, weights: Mapping[int, tuple[str, Tensor]]
    ) -> None:
        """
        Args:
            node: what is called.
            opset: the version of ONNX's operators.
            weights: by the position of the input, name and value; a parameter or a buffer.
        """
        super().__init__()
        self.operator = node.op
        self._function = OPERATORS[node.op]
        self._attributes = Attributes(node.attributes, opset)
        self._own = {at: name for at, (name, _) in weights.items()}
        for name, value in weights.values():
            if isinstance(value, nn.Parameter):
                self.register_parameter(name, value)
            else:
                self.register_buffer(name, value)

    def forward(self, *given: Value | None) -> Outputs:
        """What the operator gives; weights of its own stand where None is given."""
        values = [
            getattr(self, self._own[at]) if at in self._own else value
            for at, value in enumerate(given)
        ]
        while values and values[-1] is None:
            values.pop()
        return self._function(self._attributes, *values)


class OnnxNetwork(nn.Module):
    """An imported graph; takes its inputs in order and gives its output, or a tuple of several."""

    def __init__(self, graph: OnnxGraph, weights: Mapping[str, np.ndarray] | None = None) -> None:
        """
        Args:
            graph: what is run.
            weights: by name; None leaves zeros, for weights that are loaded afterwards.

        Raises:
            ValueError: for an operator that is not known.
        """
        super().__init__()
        self.graph = graph
        held = {name: _weight(name, graph, weights) for name in graph.weights}
        self._paths: list[str] = []
        taken: set[str] = set()
        for node in graph.nodes:
            if node.op not in OPERATORS:
                raise ValueError(f"got the operator {node.op!r}, which is not imported")
            own = {
                at: (_weight_name(node, at), _as_held(node, at, held[name]))
                for at, name in enumerate(node.inputs)
                if name in held
            }
            path = _path(node, taken)
            taken.add(path)
            self._paths.append(path)
            self.add_module(path, OnnxOperator(node, graph.opset, own))

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Run all operators in order."""
        graph = self.graph
        values: dict[str, Any] = {"": None, **graph.constants}
        values |= dict(zip(graph.inputs, inputs, strict=True))
        for node, path in zip(graph.nodes, self._paths, strict=True):
            given = [values.get(name) for name in node.inputs]
            try:
                found = getattr(self, path)(*given)
            except (ValueError, RuntimeError, TypeError, IndexError, MemoryError) as error:
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise ValueError(f"{node.op} ({path}): {first}") from error
            outputs = found if isinstance(found, tuple) else (found,)
            values |= dict(zip(node.outputs, outputs, strict=False))
        missing = [name for name in graph.outputs if values.get(name) is None]
        if missing:
            raise ValueError(f"got no {missing[0]!r:.60}, which an operator gives here not")
        answers = tuple(as_tensor(values[name]) for name in graph.outputs)
        return answers[0] if len(answers) == 1 else answers


def run_operator(node: OnnxNode, opset: int, *inputs: Value | None) -> Outputs:
    """What one operator gives, by itself."""
    return OPERATORS[node.op](Attributes(node.attributes, opset), *inputs)


def _weight(name: str, graph: OnnxGraph, weights: Mapping[str, np.ndarray] | None) -> Tensor:
    shape = graph.weights[name]
    dtype = getattr(torch, shape.dtype)
    if weights is None:
        value = torch.zeros(shape.sizes, dtype=dtype)
    else:
        value = torch.from_numpy(np.array(weights[name]))
    return nn.Parameter(value) if dtype.is_floating_point else value


def _as_held(node: OnnxNode, at: int, value: Tensor) -> Tensor:
    """A parameter, or the plain tensor where no gradient may reach it."""
    return value.detach() if node.op == BATCH_NORM and at in STATISTICS else value


def _weight_name(node: OnnxNode, at: int) -> str:
    if node.op == BATCH_NORM and at in STATISTICS:
        return STATISTICS[at]
    return LAYER_WEIGHTS[at] if 0 < at < len(LAYER_WEIGHTS) else f"weight_{at}"


def _path(node: OnnxNode, taken: set[str]) -> str:
    """A name for a submodule: the node's, or that of what it gives, in letters that a module may have."""
    said = node.name or node.outputs[0]
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", said).strip("_")[-LONGEST_NAME:]
    if not plain or not plain[0].isalpha() or hasattr(nn.Module, plain):
        plain = f"{node.op.rpartition('.')[2]}_{plain}".rstrip("_")
    number, path = 1, plain
    while path in taken or hasattr(OnnxNetwork, path) or path == "graph":
        number += 1
        path = f"{plain}_{number}"
    return path
