"""ONNX nodes named by the module they came from, so that engines' graphs can be told in its words."""

from __future__ import annotations

import ast

import onnx

SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter notes the modules a node lies in, outermost first, the node itself last."""
OURS = ("sites.", "weights.")
"""Prefixes of a quantized model's own modules; what follows is the path in the model it was made of."""
SEPARATOR = "/"
"""Stands for the dot inside one of `OURS`."""


def name_nodes(graph: onnx.GraphProto) -> None:
    """Name each node ``<module path>/<operator>``, in place; unique, and the same every time.

    A layer's path is that of its weight. A quantized model is a flat list of operators: there, what
    computes is named by the quantizer behind it.
    """
    held = {weight.name for weight in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    paths = {node.output[0]: _path(node, held, makers) for node in graph.node if node.output}
    for node in reversed(graph.node):  # from a quantizer back to what it rounds
        for name in node.input[:1]:
            if not paths.get(name, "unknown") and node.output:
                paths[name] = paths[node.output[0]]
    taken: dict[str, int] = {}
    for node in graph.node:
        path = paths.get(node.output[0], "") if node.output else ""
        name = f"{path}/{node.op_type}" if path else node.op_type
        taken[name] = taken.get(name, 0) + 1
        node.name = name if taken[name] == 1 else f"{name}.{taken[name]}"


def _path(node: onnx.NodeProto, held: set[str], makers: dict[str, onnx.NodeProto]) -> str:
    for name in node.input[1:2]:
        weight = _weight_behind(name, held, makers)
        if weight:
            return _told(weight.rpartition(".")[0])
    noted = {entry.key: entry.value for entry in node.metadata_props}.get(SCOPES, "[]")
    scopes = [str(scope) for scope in ast.literal_eval(noted)][:-1]
    return _told(scopes[-1]) if scopes else ""


def _weight_behind(name: str, held: set[str], makers: dict[str, onnx.NodeProto]) -> str:
    """The initializer that a value is made of, through what dequantizes or turns it."""
    while name not in held:
        maker = makers.get(name)
        if maker is None or maker.op_type not in ("DequantizeLinear", "Transpose", "Cast"):
            return ""
        name = maker.input[0]
    return name if "." in name else ""


def _told(path: str) -> str:
    for prefix in OURS:
        if path.startswith(prefix):
            return path.removeprefix(prefix).replace(SEPARATOR, ".")
    return "" if path in ("sites", "weights") else path
