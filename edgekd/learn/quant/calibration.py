"""Post-training calibration: the ranges quantizers start from, found on a few batches.

Batches stream through once: memory does not grow with their number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.forward_pass import switch_off
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import insertion
from edgekd.learn.quant import ranges
from edgekd.learn.quant import tracing
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.learn.quant.quantizer import RowQuantizer
from edgekd.learn.quant.quantizer import WeightQuantizer

Quantizer = TypeVar("Quantizer", WeightQuantizer, RowQuantizer)
Batches = Callable[[], Iterable[Inputs]]
"""Gives the same batches of inputs each time it is called."""
COUNTED = 2**18
"""Values of a tensor, at most, that are counted of one batch; its extremes are those of all."""
CLIPS = 40
"""Steps tried for each output channel of a weight."""
HARDEST_CLIP = {8: 0.7, 7: 0.6}
"""Least part of a channel's largest weight that is tried, by bits; fewer bits clip more."""


def observe(module: fx.GraphModule, batches: Batches) -> dict[str, ranges.Histogram]:
    """Return what every site of `module` holds in float, by its name.

    Raises:
        ValueError: if a site holds what is no number; names it.
    """
    seen = {name: ranges.Histogram() for name in insertion.find_activation_quantizers(module)}
    with _watched(module, seen), disable_quantizers(module), torch.no_grad():
        for inputs in batches():
            module(*inputs)
    return seen


def set_ranges(module: fx.GraphModule, seen: dict[str, ranges.Histogram], method: str) -> None:
    """Set every site's step and zero-point by one of `ranges.METHODS`; probabilities keep theirs."""
    for name, quantizer in insertion.find_activation_quantizers(module).items():
        if quantizer.learns:
            levels = quantizer.high - quantizer.low + 1
            found = ranges.METHODS[method](seen[name], levels, quantizer.symmetric)
            quantizer.set_range(*found)


def set_weight_steps(module: fx.GraphModule, *, search: bool = True) -> None:
    """Set the step of every output channel to what differs least from its weights, or without a `search` to what covers
    all of them; those of embeddings cover all."""
    for quantizer, weight in quantized_weights(module):
        covering = weight.detach().flatten(1).abs().amax(1) / quantizer.high
        quantizer.set_steps(weight_steps(weight, quantizer) if search else covering)
    for rows, table in quantized_tables(module):
        rows.set_steps(table)


def weight_steps(weight: Tensor, quantizer: WeightQuantizer) -> Tensor:
    """Steps [O] with the least mean square error of weights [O, ...]."""
    rows = weight.detach().flatten(1)
    largest = rows.abs().amax(1)
    best, least = largest / quantizer.high, torch.full_like(largest, torch.inf)
    for part in torch.linspace(1, HARDEST_CLIP.get(quantizer.bits, 0.3), CLIPS).tolist():
        steps = (largest * part / quantizer.high).clamp_min(1e-30)[:, None]
        codes = (rows / steps).round().clamp(-quantizer.high, quantizer.high)
        error = (codes * steps - rows).square().sum(1)
        better = error < least
        best = torch.where(better, steps[:, 0], best)
        least = torch.where(better, error, least)
    return best


def quantized_weights(module: fx.GraphModule) -> Iterator[tuple[WeightQuantizer, Tensor]]:
    """Each weight quantizer with the weight it rounds."""
    return _with_parameters(module, insertion.WEIGHTS, insertion.find_weight_quantizers(module))


def quantized_tables(module: fx.GraphModule) -> Iterator[tuple[RowQuantizer, Tensor]]:
    """Each row quantizer with the table whose rows it rounds."""
    return _with_parameters(module, insertion.TABLES, insertion.find_row_quantizers(module))


def _with_parameters(
    module: fx.GraphModule, place: str, found: Mapping[str, Quantizer]
) -> Iterator[tuple[Quantizer, Tensor]]:
    """Each quantizer that stands under `place` with the parameter it rounds."""
    holders = {f"{place}.{insertion.flatten_name(name)}": one for name, one in found.items()}
    for node in module.graph.nodes:
        if node.op == "call_module" and node.target in holders:
            parameter = tracing.get_parameter(module, node.args[0])
            assert parameter is not None
            yield holders[node.target], parameter


@contextmanager
def disable_quantizers(module: fx.GraphModule) -> Iterator[None]:
    """Turn all quantizers off, and on again afterwards."""
    with switch_off(find_quantizers(module)):
        yield


def find_quantizers(
    module: fx.GraphModule,
) -> list[ActivationQuantizer | WeightQuantizer | RowQuantizer]:
    """All quantizers of a module."""
    return [
        *insertion.find_activation_quantizers(module).values(),
        *insertion.find_row_quantizers(module).values(),
        *insertion.find_weight_quantizers(module).values(),
    ]


def subsample(values: Tensor, count: int) -> Tensor:
    """About `count` of all values, or all if there are no more: every n-th, n sharing no factor with their
    number, so that no channel and no column is left out."""
    flat = values.flatten()
    stride = -(-len(flat) // count)
    while math.gcd(stride, len(flat)) > 1:
        stride += 1
    return flat[::stride]


@contextmanager
def _watched(module: fx.GraphModule, seen: dict[str, ranges.Histogram]) -> Iterator[None]:
    def hook(name: str, values: Tensor) -> None:
        least, most = values.aminmax()
        try:
            seen[name].widen(float(least), float(most))
        except ValueError as error:
            raise ValueError(f"{name}: {error}, want finite activations") from error
        seen[name].count(subsample(values, COUNTED).float().cpu().numpy())

    hooks = [
        quantizer.register_forward_pre_hook(lambda _m, args, name=name: hook(name, args[0]))
        for name, quantizer in insertion.find_activation_quantizers(module).items()
    ]
    try:
        yield
    finally:
        for one in hooks:
            one.remove()
