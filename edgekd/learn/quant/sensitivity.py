"""What quantizing each layer costs by itself, worst first: which to leave alone if not all can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import fx

from edgekd.interface import Tensor
from edgekd.learn.forward_pass import Outputs
from edgekd.learn.quant import calibration
from edgekd.learn.quant import distance
from edgekd.learn.quant import insertion
from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.learn.quant.quantizer import WeightQuantizer


class QuantizationCost(NamedTuple):
    """One row of the table."""

    layer: str
    """Module path."""
    weight_bits: int
    parameters: int
    """Of its weight."""
    weight_distance: float
    """From the float model's outputs (`distance.mean_distance`) when this weight alone is rounded."""
    input_distance: float
    """The same when its input alone is."""

    def total_distance(self) -> float:
        """Return what the table is ordered by."""
        return self.weight_distance + self.input_distance


def measure_costs(
    module: fx.GraphModule,
    want: Sequence[Outputs],
    batches: calibration.Batches,
    outputs: Sequence[Tensor],
) -> list[QuantizationCost]:
    """Measure the cost of each quantized layer: a row each, the costliest first.

    Args:
        module: quantized, its ranges set.
        want: what the float model gives, a batch each.
        batches: the inputs.
        outputs: what it gives, in order.
    """
    weights, rows = insertion.find_weight_quantizers(module), []
    with calibration.disable_quantizers(module):
        for node in module.graph.nodes:
            name = find_weight_name(module, node)
            if name is None:
                continue
            quantizer, site = weights[name], find_input_quantizer(module, node)
            weight = tracing.get_parameter(module, node.args[1].args[0])
            assert weight is not None
            quantizer.enabled = True
            by_weight = distance.mean_distance(module, want, batches, outputs)
            quantizer.enabled = False
            by_input = 0.0
            if site is not None:
                site.enabled = True
                by_input = distance.mean_distance(module, want, batches, outputs)
                site.enabled = False
            rows.append(QuantizationCost(name, quantizer.bits, weight.numel(), by_weight, by_input))
    return sorted(rows, key=lambda row: -row.total_distance())


def find_weight_name(module: fx.GraphModule, node: fx.Node) -> str | None:
    """Return the name of the quantized layer that `node` is; None if it is none."""
    if node.target not in operators.LAYERS or not isinstance(node.args[1], fx.Node):
        return None
    held = node.args[1]
    found = module.get_submodule(str(held.target)) if held.op == "call_module" else None
    return found.path if isinstance(found, WeightQuantizer) else None


def find_input_quantizer(module: fx.GraphModule, node: fx.Node) -> ActivationQuantizer | None:
    """Find the quantizer that a layer's input went through, past whatever moves it."""
    read = node.args[0]
    while isinstance(read, fx.Node) and operators.is_passing(read):
        read = read.args[0]
    if not isinstance(read, fx.Node) or read.op != "call_module":
        return None
    found = module.get_submodule(str(read.target))
    return found if isinstance(found, ActivationQuantizer) else None
