"""What an engine is given of a quantized model, whichever way it was quantized."""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx
from torch import nn

from edgekd.learn.quant import emit
from edgekd.learn.quant import int32_bias
from edgekd.learn.weight_only import emission
from edgekd.learn.weight_only import insertion
from edgekd.profile import PROFILES


def prepare_export(model: nn.Module, profile: str) -> nn.Module:
    """Copy `model` to one that exports to the file of `profile`.

    Raises:
        ValueError: if `model` is not quantized so.
    """
    if insertion.has_quantizers(model):
        return emission.prepare_export(model)
    return emit.prepare_export(model, PROFILES[profile])


def least_opset(module: nn.Module) -> int:
    """The operator set that the graph of a prepared model needs; 0 for any."""
    return emit.least_opset(module)


def find_steps(model: nn.Module, outputs: Sequence[str]) -> dict[str, float | None]:
    """By output, how far a number moves by one code of the last layer's input (`emit.logit_steps`); None where its layers
    take floats."""
    if not isinstance(model, fx.GraphModule):
        return dict.fromkeys(outputs)
    return dict(zip(outputs, emit.logit_steps(model), strict=True))


def round_as_engines(model: nn.Module) -> nn.Module:
    """Copy `model` to one that also rounds what an engine rounds and training does not: biases as int32 sums hold them, or
    inputs of layers whose weights are in blocks."""
    if isinstance(model, fx.GraphModule):
        return int32_bias.round_biases(model)
    return emission.round_inputs(model)
