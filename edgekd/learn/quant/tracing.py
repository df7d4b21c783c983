"""A model as the list of its ATen operators, which can be changed and trained like any module."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch import fx
from torch import nn

from edgekd.interface import Interface
from edgekd.learn import model_inputs
from edgekd.learn.export import reasons
from edgekd.learn.export.silence import silence_exporter

MODULE_PATH, SHAPE, DTYPE, NAME = (
    f"edgekd_{key}" for key in ("module_path", "shape", "dtype", "name")
)
"""Keys in a node's meta: the module of the original model it came from; the sizes of what it gives,
None for a free one; their type; what the node is called in reports and edits."""
NO_MODULE = "_empty_nn_module_stack"
"""What torch writes for a node that came from no module."""


def trace(model: nn.Module, interface: Interface) -> fx.GraphModule:
    """Copy `model` in evaluation mode as a graph module; parameters keep their names.

    Whatever torch can export can be traced, and nothing else could be deployed. Dropout is gone and the free axes
    stay free; ``train()`` and ``eval()`` change nothing in it any more. It gives one tensor, or a tuple of several.

    Args:
        model: has the ends of `interface`.
        interface: what it takes and gives.

    Raises:
        ValueError: if torch cannot export it; says why in one line.
    """
    model = copy.deepcopy(model).eval()
    inputs = model_inputs.make_example(interface)
    try:
        with silence_exporter():
            shapes = model_inputs.free_dimensions(model, interface)
            program = torch.export.export(model, inputs, dynamic_shapes=shapes, strict=False)
            found = program.module(check_guards=False)
    except Exception as error:  # export raises whatever the model's own forward raises
        raise ValueError(f"cannot be traced: {reasons.explain_failure(error)}") from error
    for node in found.graph.nodes:
        value = node.meta.get("val")
        dtype = value.dtype if isinstance(value, Tensor) else None
        node.meta = {MODULE_PATH: _path(node), SHAPE: _shape(value), DTYPE: dtype}
    erase_unused(found.graph)
    _name_nodes(found.graph)
    _as_plain_function(found.graph)
    return fx.GraphModule(found, found.graph, class_name=type(model).__name__)


def _as_plain_function(graph: fx.Graph) -> None:
    """From inputs to outputs, without the exporter's packing of inputs and outputs."""
    output = output_node(graph)
    (given,) = output.args
    if isinstance(given, list | tuple):
        output.args = (given[0] if len(given) == 1 else tuple(given),)
    graph.set_codegen(fx.graph.CodeGen())


def output_node(graph: fx.Graph) -> fx.Node:
    """The node that gives what the model gives."""
    (output,) = [node for node in graph.nodes if node.op == "output"]
    return output


def path_of(node: fx.Node) -> str:
    """The module path a node came from; empty at the model's top."""
    return str(node.meta.get(MODULE_PATH, ""))


def place_of(node: fx.Node) -> dict[str, Any]:
    """The meta of a node that belongs to the same place."""
    return {key: node.meta[key] for key in (MODULE_PATH, SHAPE) if key in node.meta}


def shape_of(node: object) -> tuple[int | None, ...]:
    """The sizes of a node's tensor, None for a free one; empty if it is no tensor or came later."""
    found: tuple[int | None, ...] = node.meta.get(SHAPE, ()) if isinstance(node, fx.Node) else ()
    return found


def rank_of(node: fx.Node) -> int:
    """Return how many axes a node's tensor has; 0 if it is none or came later."""
    return len(shape_of(node))


def name_of(node: fx.Node) -> str:
    """The module path of a traced node and its operator: ``layer1.bn:batch_norm``; unique."""
    return str(node.meta.get(NAME, node.name))


def operator_of(node: fx.Node) -> str:
    """The plain name of a node's operator, such as ``conv2d``."""
    packet = getattr(node.target, "overloadpacket", None)
    return str(getattr(packet or node.target, "__name__", node.target))


def _name_nodes(graph: fx.Graph) -> None:
    taken: dict[str, int] = {}
    for node in graph.nodes:
        if node.op == "call_function":
            name = f"{path_of(node)}:{operator_of(node)}"
            taken[name] = number = taken.get(name, 0) + 1
            node.meta[NAME] = name if number == 1 else f"{name}.{number}"


def _path(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    innermost = list(stack.values())[-1] if stack else ("",)
    return "" if str(innermost[0]).startswith(NO_MODULE) else str(innermost[0])


def _shape(value: object) -> tuple[int | None, ...]:
    sizes = value.shape if isinstance(value, Tensor) else ()
    return tuple(size if isinstance(size, int) else None for size in sizes)


def erase_unused(graph: fx.Graph) -> None:
    """Drop weights that nothing reads (counters of batch norms) and checks of the batch size."""
    for node in reversed(list(graph.nodes)):
        idle = node.op == "get_attr" or (node.op == "call_function" and not node.is_impure())
        if idle and not node.users:
            graph.erase_node(node)


def get_parameter(module: fx.GraphModule, node: object) -> Tensor | None:
    """Return the tensor that a ``get_attr`` node reads; None for anything else."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    holder, _, name = str(node.target).rpartition(".")
    found = getattr(module.get_submodule(holder), name)
    return found if isinstance(found, Tensor) else None


def find_constants(graph: fx.Graph) -> set[fx.Node]:
    """Find the nodes whose values are the same for all inputs: parameters, and what is computed of them alone."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        if node.op == "get_attr" or (
            node.op == "call_function"
            and torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ())
            and not node.is_impure()
            and found.issuperset(node.all_input_nodes)
        ):
            found.add(node)
    return found


def compute_constant(module: fx.GraphModule, node: fx.Node) -> Any:
    """Compute what a node of `find_constants` gives, in the parameters' own type."""
    if node.op == "get_attr":
        held = get_parameter(module, node)
        return None if held is None else held.detach().clone()
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: compute_constant(module, n))
    with torch.no_grad():
        return node.target(*args, **kwargs)


def free_name(module: fx.GraphModule, holder: str, name: str) -> str:
    """A dotted name under `holder` that no tensor or module has: `name`, or it with a number."""
    taken = {*dict(module.named_parameters(remove_duplicate=False)), *dict(module.named_buffers())}
    taken |= set(dict(module.named_modules()))
    number, dotted = 1, f"{holder}.{name}".lstrip(".")
    unique = dotted
    while unique in taken or hasattr(nn.Module, unique):
        number += 1
        unique = f"{dotted}_{number}"
    return unique


def read_parameter(module: fx.GraphModule, before: fx.Node, target: str) -> fx.Node:
    """A new node that reads the parameter `target`, in front of `before`."""
    with module.graph.inserting_before(before):
        node = module.graph.get_attr(target)
    node.meta = {MODULE_PATH: path_of(before)}
    return node


def set_parameter(module: fx.GraphModule, target: str, value: Tensor) -> None:
    """Put a new parameter at a dotted name, making the modules on the way."""
    holder, _, name = target.rpartition(".")
    place: nn.Module = module
    for part in holder.split(".") if holder else []:
        if not hasattr(place, part):
            place.add_module(part, nn.Module())
        place = getattr(place, part)
    place.register_parameter(name, nn.Parameter(value.detach().clone()))
