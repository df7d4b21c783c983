"""A model while it is changed: its nodes by what they give, and its constants by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgekd.learn.onnx_import.graph import Constant
from edgekd.learn.onnx_import.graph import OnnxModel
from edgekd.learn.onnx_import.graph import OnnxNode
from edgekd.learn.onnx_import.graph import WeightShape


class Draft:
    """A model while it is changed."""

    def __init__(self, model: OnnxModel) -> None:
        self.graph = model.graph
        self.nodes: list[OnnxNode] = list(model.graph.nodes)
        self.values: dict[str, Constant] = {**model.graph.constants, **model.weights}
        self._index()

    def _index(self) -> None:
        self.maker = {name: node for node in self.nodes for name in node.outputs}
        self.uses = Counter(name for node in self.nodes for name in node.inputs)
        self.uses.update(self.graph.outputs)

    def alone(self, op: str) -> Iterator[tuple[str, str]]:
        """Output and input of the nodes of an operator that hands on what it takes, unless the graph gives it."""
        for node in self.nodes:
            if node.op == op and node.outputs[0] not in self.graph.outputs:
                yield node.outputs[0], node.inputs[0]

    def replace(self, old: str, new: str) -> None:
        """Read `new` wherever `old` was read."""
        self.nodes = [
            node._replace(inputs=tuple(new if name == old else name for name in node.inputs))
            for node in self.nodes
        ]
        self._index()

    def drop_known(self) -> None:
        """Leave out the nodes that give what is among the values."""
        self.nodes = [node for node in self.nodes if not self.values.keys() & set(node.outputs)]
        self._index()

    def put(self, old: OnnxNode, new: OnnxNode, *idle: OnnxNode) -> None:
        """Put one node in the place of another, and leave out what nothing else reads."""
        gone = [id(node) for node in idle]
        self.nodes = [new if node is old else node for node in self.nodes if id(node) not in gone]
        self._index()

    def store(self, name: str, value: Constant) -> str:
        """Keep a new weight under a free name like `name`."""
        number, free = 1, name
        while free in self.values or free in self.maker:
            number += 1
            free = f"{name}_{number}"
        self.values[free] = value
        return free

    def constant(self, name: str) -> Constant | None:
        """A weight or constant; None for what is computed."""
        return self.values.get(name)

    def number(self, name: str) -> float | None:
        """The only number of a constant; None for anything else."""
        value = self.constant(name)
        if value is None or value.size != 1 or value.dtype.kind != "f":
            return None
        return float(value.ravel()[0])

    def source(self, name: str, *ops: str) -> OnnxNode | None:
        """The node that makes a value, if it is of these operators and nobody else reads that."""
        node = self.maker.get(name)
        return node if node is not None and node.op in ops and self.uses[name] == 1 else None

    def finish(self) -> OnnxModel:
        """The model with what nothing reads left out."""
        wanted = set(self.graph.outputs)
        kept: list[OnnxNode] = []
        for node in reversed(self.nodes):
            if wanted.intersection(node.outputs):
                kept.append(node)
                wanted.update(node.inputs)
        few = {
            name
            for name, value in self.values.items()
            if name in wanted
            and (name in self.graph.constants or (value.ndim < 2 and value.dtype.kind in "iub"))
        }
        constants = {name: self.values[name] for name in sorted(few)}
        weights = {
            name: value for name, value in self.values.items() if name in wanted and name not in few
        }
        shapes = {n: WeightShape(each.dtype.name, tuple(each.shape)) for n, each in weights.items()}
        nodes = tuple(reversed(kept))
        graph = self.graph._replace(nodes=nodes, constants=constants, weights=shapes)
        return OnnxModel(graph, weights)


def split_operands(draft: Draft, node: OnnxNode) -> tuple[str, Constant] | None:
    """The computed and the constant side of a node of two inputs, in either order."""
    for at in (0, 1):
        value = draft.constant(node.inputs[1 - at])
        if value is not None and draft.constant(node.inputs[at]) is None:
            return node.inputs[at], value
    return None
