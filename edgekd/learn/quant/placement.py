"""Where quantizers stand: rules over operators, the same for every model.

Convolutions, linear layers and, where `blocks` says so, products of activations run in int8. Additions, pools, concatenations
and gates do so only between int8 neighbours. All else stays in float. A quantizer stands after a
tensor's producer, its fused activation included, and once a tensor: whoever computes in int8 reads
its values, whoever computes in float reads the tensor itself.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import NamedTuple

from torch import fx

from edgekd.learn.quant import blocks
from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from edgekd.profile import Numerics


class ActivationSite(NamedTuple):
    """One tensor that is quantized."""

    name: str
    """Unique in the model: the module path it came from, and a number where that is not enough."""
    source: fx.Node
    """Whose output it is."""
    readers: tuple[fx.Node, ...]
    """Who reads the quantized values; others go on reading the tensor."""
    probabilities: bool
    """Whether its values lie in [0, 1], whatever calibration saw: a softmax, a gate."""


class QuantizableLayer(NamedTuple):
    """One layer whose weights are quantized."""

    name: str
    """Module path of the layer."""
    node: fx.Node


class Placement(NamedTuple):
    """All quantizers of a model."""

    sites: tuple[ActivationSite, ...]
    layers: tuple[QuantizableLayer, ...]
    tables: tuple[QuantizableLayer, ...]
    """Embeddings whose rows are stored in int8."""


def find_quantizable_layers(module: fx.GraphModule) -> tuple[QuantizableLayer, ...]:
    """List all layers whose weights could be quantized, in the order they run."""
    found, taken = [], set[str]()
    for node in module.graph.nodes:
        if (
            node.target in operators.LAYERS
            and tracing.get_parameter(module, node.args[1]) is not None
        ):
            name = _unique(str(node.args[1].target).rpartition(".")[0] or "weight", taken)
            found.append(QuantizableLayer(name, node))
    return tuple(found)


def find_float_operators(module: fx.GraphModule) -> tuple[str, ...]:
    """Return what multiplies and cannot be quantized, by `tracing.name_of`: it has no int8 form here, or its
    weights depend on the images."""
    known = {layer.node for layer in find_quantizable_layers(module)}
    return tuple(
        tracing.name_of(node)
        for node in module.graph.nodes
        if tracing.operator_of(node) in operators.FLOAT_PRODUCTS
        or (node.target in operators.LAYERS and node not in known)
    )


def weight_bits(
    module: fx.GraphModule,
    every: int,
    single: Mapping[str, int],
    float_layers: Collection[str] = (),
) -> dict[str, int]:
    """Bits of each layer's weights, by name: `every`, or its own of `single`; none where it stays in
    float."""
    named = {layer.name: every for layer in find_quantizable_layers(module)} | dict(single)
    return {name: bits for name, bits in named.items() if name not in float_layers}


def find_embeddings(module: fx.GraphModule) -> tuple[QuantizableLayer, ...]:
    """List the embeddings whose tables are worth storing in int8."""
    taken = set[str]()
    return tuple(
        QuantizableLayer(_unique(tracing.path_of(node) or "embedding", taken), node)
        for node in blocks.find_tables(module)
    )


def place_quantizers(
    module: fx.GraphModule,
    numerics: Numerics,
    float_layers: Collection[str] = (),
    forms: Mapping[str, blocks.Form] = blocks.DEFAULT,
) -> Placement:
    """Decide where the quantizers of `numerics` stand.

    Args:
        module: a traced model, batch norms folded.
        numerics: what the engines need.
        float_layers: names of layers that keep their precision, embeddings among them.
        forms: what kinds of block run in (`blocks.resolve_forms`).

    Raises:
        ValueError: if `float_layers` names none of the model's, or nothing is left to quantize.
    """
    everyone, tables = find_quantizable_layers(module), find_embeddings(module)
    unknown = sorted(set(float_layers) - {layer.name for layer in (*everyone, *tables)})
    if unknown:
        raise ValueError(f"float_layers: got {unknown[0]!r}, which is no layer of this model")
    chosen = tuple(layer for layer in everyone if layer.name not in float_layers)
    if not chosen:
        raise ValueError("got no layer to quantize, want at least one")
    products = {node for node in module.graph.nodes if node.target in operators.MATMULS}
    int8 = {layer.node for layer in chosen} | products
    int8 -= blocks.find_float_products(module.graph, forms)
    quantized = _quantized(module.graph, int8, gates=numerics.outputs)
    forced = _forced(module.graph, quantized) if numerics.outputs else set()
    sites, taken = [], set[str]()
    for node in module.graph.nodes:
        if node.op not in ("placeholder", "call_function") or _on_grid(node, quantized, forced):
            continue
        readers = tuple(
            user for user in node.users if node in forced or _reads(user, node, quantized)
        )
        if readers and not _only_fused(node, readers):
            name = _unique(tracing.path_of(node) or node.name, taken)
            sites.append(
                ActivationSite(name, node, readers, node.target in operators.IN_UNIT_RANGE)
            )
    stored = tables if forms[blocks.EMBEDDINGS] == "int8" else ()
    kept = tuple(table for table in stored if table.name not in float_layers)
    return Placement(tuple(sites), chosen, kept)


def _quantized(graph: fx.Graph, chosen: set[fx.Node], *, gates: bool) -> set[fx.Node]:
    """The nodes that compute in int8; users come later in a graph, so one walk back is enough."""
    found: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        light = operators.is_light(node) or (gates and node.target in operators.GATES)
        light = light and bool(node.users)
        if node in chosen or (light and all(_ends_in(user, node, found) for user in node.users)):
            found.add(node)
    return found


def _ends_in(user: fx.Node, node: fx.Node, quantized: set[fx.Node]) -> bool:
    """As `_reads`, with a fused activation on the way."""
    if operators.is_fused(user):
        return bool(user.users) and all(_reads(next_, user, quantized) for next_ in user.users)
    return _reads(user, node, quantized)


def _reads(user: fx.Node, node: fx.Node, quantized: set[fx.Node]) -> bool:
    """Return whether `user` takes the values of `node` into int8 arithmetic, however it moves them first."""
    if user in quantized:
        return node in operators.find_activations(user)
    if operators.is_passing(user) and node is user.args[0]:
        return bool(user.users) and all(_reads(next_, user, quantized) for next_ in user.users)
    return False


def _forced(graph: fx.Graph, quantized: set[fx.Node]) -> set[fx.Node]:
    """Outputs of convolutions, fused activation included, that are quantized whoever reads them."""
    found = set()
    for node in graph.nodes:
        if node in quantized and node.target in operators.CONVOLUTIONS:
            last = node
            while len(last.users) == 1 and operators.is_fused(next(iter(last.users))):
                last = next(iter(last.users))
            found.add(last)
    return found


def _on_grid(node: fx.Node, quantized: set[fx.Node], forced: set[fx.Node]) -> bool:
    """Return whether `node` only moves values that a quantizer before it has rounded already."""
    moved = node
    while operators.is_passing(moved) and isinstance(moved.args[0], fx.Node):
        source = moved.args[0]
        if source in forced or _reads(moved, source, quantized):
            return True
        moved = source
    return False


def _only_fused(node: fx.Node, readers: tuple[fx.Node, ...]) -> bool:
    """Return whether the quantizer of `node` stands after its fused activation instead."""
    return all(operators.is_fused(reader) for reader in readers)


def _unique(name: str, taken: set[str]) -> str:
    number, unique = 1, name
    while unique in taken:
        number += 1
        unique = f"{name}.{number}"
    taken.add(unique)
    return unique
