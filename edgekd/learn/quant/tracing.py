"""A model as the list of its ATen operators, which can be changed and trained like any module."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch import fx
from torch import nn

from edgekd.learn.export.quiet import quiet

MODULE_PATH, RANK = "edgekd_module_path", "edgekd_rank"
"""Keys in a node's meta: the module of the original model it came from; the axes of what it gives."""


def traced(model: nn.Module, images: Tensor) -> fx.GraphModule:
    """A copy of `model` in evaluation mode as a graph module; parameters keep their names.

    Whatever torch can export can be traced, and nothing else could be deployed. Dropout is gone and
    the batch axis stays free; ``train()`` and ``eval()`` change nothing in it any more.

    Args:
        model: from images to logits [B, classes].
        images: [2 or more, C, H, W], for their shape.

    Raises:
        ValueError: if torch cannot export it; says why in one line.
    """
    model = copy.deepcopy(model).eval()
    try:
        with quiet():
            shapes = ({0: torch.export.Dim.DYNAMIC},)
            program = torch.export.export(model, (images,), dynamic_shapes=shapes, strict=False)
            found = program.module(check_guards=False)
    except Exception as error:  # export raises whatever the model's own forward raises
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        raise ValueError(f"cannot be traced: {type(error).__name__}: {first[:200]}") from error
    for node in found.graph.nodes:
        value = node.meta.get("val")
        node.meta = {MODULE_PATH: _path(node), RANK: value.ndim if isinstance(value, Tensor) else 0}
    _without_unused(found.graph)
    _as_plain_function(found.graph)
    return fx.GraphModule(found, found.graph, class_name=type(model).__name__)


def _as_plain_function(graph: fx.Graph) -> None:
    """From images to logits, without the exporter's packing of inputs and outputs."""
    (output,) = [node for node in graph.nodes if node.op == "output"]
    (given,) = output.args
    if isinstance(given, (list, tuple)):
        output.args = (given[0],)
    graph.set_codegen(fx.graph.CodeGen())


def path_of(node: fx.Node) -> str:
    """The module path a node came from; empty at the model's top."""
    return str(node.meta.get(MODULE_PATH, ""))


def place_of(node: fx.Node) -> dict[str, Any]:
    """The meta of a node that belongs to the same place."""
    return {key: node.meta[key] for key in (MODULE_PATH, RANK) if key in node.meta}


def rank_of(node: fx.Node) -> int:
    """How many axes a node's tensor has; 0 if it is none or came later."""
    return int(node.meta.get(RANK, 0))


def _path(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    innermost = list(stack.values())[-1] if stack else ("",)
    return str(innermost[0])


def _without_unused(graph: fx.Graph) -> None:
    """Drop weights that nothing reads (counters of batch norms) and checks of the batch size."""
    for node in reversed(list(graph.nodes)):
        idle = node.op == "get_attr" or (node.op == "call_function" and not node.is_impure())
        if idle and not node.users:
            graph.erase_node(node)


def parameter(module: fx.GraphModule, node: object) -> Tensor | None:
    """The tensor a ``get_attr`` node reads; None for anything else."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    holder, _, name = str(node.target).rpartition(".")
    found = getattr(module.get_submodule(holder), name)
    return found if isinstance(found, Tensor) else None


def set_parameter(module: fx.GraphModule, target: str, value: Tensor) -> None:
    """Put a new parameter at a dotted name, making the modules on the way."""
    holder, _, name = target.rpartition(".")
    place: nn.Module = module
    for part in holder.split(".") if holder else []:
        if not hasattr(place, part):
            place.add_module(part, nn.Module())
        place = getattr(place, part)
    place.register_parameter(name, nn.Parameter(value.detach().clone()))
