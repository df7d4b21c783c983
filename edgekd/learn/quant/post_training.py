"""A float model quantized without training: the start of learning, and what it must not fall below."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch import fx
from torch import nn

from edgekd.learn.quant import bias_correction
from edgekd.learn.quant import calibration
from edgekd.learn.quant import equalization
from edgekd.learn.quant import insertion
from edgekd.learn.quant import placement
from edgekd.learn.quant import ranges
from edgekd.learn.quant import sensitivity
from edgekd.profile import Scheme

CORRECTED = 256
"""Images on which biases are corrected: they go through the model in one batch."""


class Started(NamedTuple):
    """A quantized model before it learns."""

    model: fx.GraphModule
    method: str
    """The one of `ranges.METHODS` that was taken."""
    equalized: int
    """Layer norms whose channels were evened out."""
    corrected: bool
    """Whether biases were corrected; only where that helped."""
    tried_nats: dict[str, float]
    """Mean KL from the float model's answers, by what was tried."""
    costs: list[sensitivity.Cost]


def quantize(
    model: nn.Module,
    images: Tensor,
    scheme: Scheme,
    batches: calibration.Batches,
    *,
    method: str = "auto",
    equalize: float = 0.5,
    correct: bool = True,
    float_layers: Collection[str] = (),
    every_weight_bits: int = 8,
    weight_bits: Mapping[str, int] = {},
) -> Started:
    """`model` with quantizers whose ranges answer most like it on `batches`.

    Args:
        model: float, in evaluation mode; it is left as it is.
        images: [2, C, H, W], for tracing.
        scheme: what the engines need.
        batches: calibration images [B, C, H, W].
        method: one of `ranges.METHODS`, or ``auto``: all are tried.
        equalize: strength of the equalization behind layer norms; 0 leaves them.
        correct: whether to try to correct biases.
        float_layers: layers that keep their precision.
        every_weight_bits: bits of all weights, if fewer than the scheme's.
        weight_bits: layers whose weights get another number of bits, at most the scheme's.

    Raises:
        ValueError: if the model cannot be traced or quantized, or an activation is not finite.
    """
    module = insertion.folded(model, images)
    evened = equalization.equalize(module, batches, equalize) if equalize else 0
    bits = {layer.name: every_weight_bits for layer in placement.layers(module)}
    bits = {name: n for name, n in (bits | dict(weight_bits)).items() if name not in float_layers}
    insertion.insert(module, scheme, float_layers=float_layers, weight_bits=bits)
    seen = calibration.observe(module, batches)
    calibration.set_weight_steps(module)
    want = calibration.float_logits(module, batches)
    tried: dict[str, float] = {}
    for name in ranges.METHODS if method == "auto" else (method,):
        calibration.set_ranges(module, seen, name)
        tried[name] = calibration.divergence(module, want, batches)
    best = min(tried, key=lambda name: tried[name])
    calibration.set_ranges(module, seen, best)
    costs = sensitivity.costs(module, want, batches)
    corrected = correct and _corrected(module, batches, want, tried, best)
    return Started(module, best, evened, corrected, tried, costs)


def _corrected(
    module: fx.GraphModule,
    batches: calibration.Batches,
    want: list[Tensor],
    tried: dict[str, float],
    best: str,
) -> bool:
    before = {name: value.detach().clone() for name, value in module.state_dict().items()}
    bias_correction.correct(module, _first(batches, CORRECTED))
    tried["bias correction"] = calibration.divergence(module, want, batches)
    if tried["bias correction"] < tried[best]:
        return True
    module.load_state_dict(before)
    return False


def _first(batches: calibration.Batches, count: int) -> Tensor:
    """At most so many images; no more are read than that takes."""
    taken: list[Tensor] = []
    for images in batches():
        taken.append(images)
        if sum(map(len, taken)) >= count:
            break
    return torch.cat(taken)[:count]
