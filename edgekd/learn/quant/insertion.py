"""Quantizers put into a traced model, and found there again."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping

from torch import fx
from torch import nn

from edgekd.learn.quant import blocks
from edgekd.learn.quant import hard_swish
from edgekd.learn.quant import placement
from edgekd.learn.quant import tracing
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.learn.quant.quantizer import RowQuantizer
from edgekd.learn.quant.quantizer import WeightQuantizer
from edgekd.profile import Numerics

SITES, WEIGHTS, TABLES = "sites", "weights", "tables"
"""Where a quantized model keeps its quantizers, as modules."""


def insert_quantizers(
    module: fx.GraphModule,
    numerics: Numerics,
    *,
    float_layers: Collection[str] = (),
    weight_bits: Mapping[str, int] = {},
    forms: Mapping[str, blocks.Form] = blocks.DEFAULT,
) -> fx.GraphModule:
    """Put the quantizers of `numerics` into `module`, in place; their ranges are still to be set.

    Args:
        module: a traced model, batch norms folded.
        numerics: what the engines need.
        float_layers: layers that keep their precision.
        weight_bits: layers whose weights get fewer bits than the numerics say.
        forms: what kinds of block run in.

    Raises:
        ValueError: as `placement.place_quantizers`, or if `weight_bits` names none of the quantized layers.
    """
    if numerics.outputs:
        hard_swish.split_hard_swish(module)
    plan = placement.place_quantizers(module, numerics, float_layers, forms)
    unknown = sorted(set(weight_bits) - {layer.name for layer in plan.layers})
    if unknown:
        raise ValueError(f"weight_bits: got {unknown[0]!r}, which is no quantized layer")
    for holder in (SITES, WEIGHTS, TABLES):
        module.add_submodule(holder, nn.Module())
    for site in plan.sites:
        quantizer = ActivationQuantizer(
            site.name, symmetric=numerics.symmetric, learns=not site.probabilities
        )
        if site.probabilities:
            quantizer.set_range(0.0, 1.0)
        _after(module, site, quantizer)
    for layer in plan.layers:
        bits = min(weight_bits.get(layer.name, numerics.weight_bits), numerics.weight_bits)
        _before_weight(module, layer, bits)
    for table in plan.tables:
        _around_table(module, table)
    module.graph.lint()
    module.recompile()
    return module


def _after(module: fx.GraphModule, site: placement.ActivationSite, quantizer: nn.Module) -> None:
    target = f"{SITES}.{flatten_name(site.name)}"
    module.add_submodule(target, quantizer)
    with module.graph.inserting_after(site.source):
        node = module.graph.call_module(target, (site.source,))
    node.meta = tracing.place_of(site.source)
    for reader in site.readers:
        reader.replace_input_with(site.source, node)


def _before_weight(module: fx.GraphModule, layer: placement.QuantizableLayer, bits: int) -> None:
    weight = tracing.get_parameter(module, layer.node.args[1])
    assert weight is not None  # placement names only layers with weights of their own
    target = f"{WEIGHTS}.{flatten_name(layer.name)}"
    quantizer = WeightQuantizer(layer.name, weight.shape[0], weight.ndim, bits=bits)
    module.add_submodule(target, quantizer)
    with module.graph.inserting_before(layer.node):
        node = module.graph.call_module(target, (layer.node.args[1],))
    node.meta = tracing.place_of(layer.node)
    layer.node.args = (layer.node.args[0], node, *layer.node.args[2:])


def _around_table(module: fx.GraphModule, table: placement.QuantizableLayer) -> None:
    held = tracing.get_parameter(module, table.node.args[0])
    assert held is not None and isinstance(table.node.args[0], fx.Node)
    if len(table.node.args[0].users) == 1:
        held.requires_grad_(False)
    target = f"{TABLES}.{flatten_name(table.name)}"
    module.add_submodule(target, RowQuantizer(table.name, len(held)))
    with module.graph.inserting_after(table.node):
        node = module.graph.call_module(target, table.node.args[:2])
    node.meta = tracing.place_of(table.node)
    table.node.replace_all_uses_with(node)
    module.graph.erase_node(table.node)


def flatten_name(name: str) -> str:
    """Turn a module path, or an operator's name, into one attribute name that no module has by itself."""
    plain = name.replace(".", "/")
    return f"{plain}/" if hasattr(nn.Module, plain) else plain


def find_activation_quantizers(module: nn.Module) -> dict[str, ActivationQuantizer]:
    """Find the quantizers of activations by the name of their site, in the order they run."""
    return {m.path: m for m in module.modules() if isinstance(m, ActivationQuantizer)}


def find_weight_quantizers(module: nn.Module) -> dict[str, WeightQuantizer]:
    """Find the quantizers of weights by the name of their layer, in the order they run."""
    return {m.path: m for m in module.modules() if isinstance(m, WeightQuantizer)}


def find_row_quantizers(module: nn.Module) -> dict[str, RowQuantizer]:
    """Find the quantizers of embeddings by the name of their layer, in the order they run."""
    return {m.path: m for m in module.modules() if isinstance(m, RowQuantizer)}


def find_unusual_bits(module: nn.Module, numerics: Numerics) -> dict[str, int]:
    """Find the bits of weights by the name of their layer, where they are others than the numerics say."""
    bits = {name: each.bits for name, each in find_weight_quantizers(module).items()}
    return {name: count for name, count in bits.items() if count != numerics.weight_bits}


def is_quantized(module: nn.Module) -> bool:
    """Return whether quantizers were put into `module`."""
    return bool(find_weight_quantizers(module))
