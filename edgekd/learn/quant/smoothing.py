"""How much scale moves from activations into weights: tried by kind of place, on calibration samples."""

from __future__ import annotations

import copy
import functools
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from torch import fx

from edgekd.interface import Tensor
from edgekd.learn.forward_pass import Outputs
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import blocks
from edgekd.learn.quant import calibration
from edgekd.learn.quant import distance
from edgekd.learn.quant import equalization
from edgekd.learn.quant import insertion
from edgekd.learn.quant import sensitivity
from edgekd.learn.quant.quantizer import ActivationQuantizer
from edgekd.learn.quant.quantizer import WeightQuantizer
from edgekd.profile import Numerics

STRENGTHS = (0.35, 0.5, 0.65, 0.8, 0.95)
WORTH = 0.9
"""An operator of its own stays only if the distance falls to so much of what it was."""


class Smoothing(NamedTuple):
    """What was chosen."""

    strengths: dict[str, float]
    """By kind of place (`equalization`); what is not named is left alone."""
    scaled: tuple[str, ...]
    """What is divided by an operator of its own (`equalization.insert_scales`), by node."""


class _Tried(NamedTuple):
    """One place with what it takes to try it."""

    place: equalization.EvenedPlace
    seen: equalization.Extremes
    site: ActivationQuantizer | None
    weights: tuple[WeightQuantizer, ...]

    def set_ranges(self, change: equalization.Change | None) -> None:
        """Cover all that was seen, once `change` is made."""
        factor = 1.0 if change is None else change.factor
        if self.site is not None and self.site.learns:
            least, most = self.seen.least / factor, self.seen.most / factor
            self.site.set_range(float(least.min()), float(most.max()))
        for quantizer, weight in zip(self.weights, self.place.multiplied, strict=True):
            quantizer.set_steps(weight.detach().abs().amax(1) / quantizer.high)


def find_strengths(
    module: fx.GraphModule,
    numerics: Numerics,
    batches: calibration.Batches,
    judged: Sequence[Inputs],
    want: Sequence[Outputs],
    outputs: Sequence[Tensor],
    *,
    float_layers: Collection[str],
    weight_bits: Mapping[str, int],
    forms: Mapping[str, blocks.Form],
) -> Smoothing:
    """Find the strengths with which the quantized model answers most like the float one; one kind after the other.

    Args:
        module: a traced model without quantizers; left as it is.
        numerics: what the engines need.
        batches: for the ranges.
        judged: samples on which it is compared.
        want: the float model's answers to them.
        outputs: what the model gives, in order.
        float_layers: layers that keep their precision.
        weight_bits: bits of weights by layer.
        forms: what kinds of block run in.
    """
    trial = copy.deepcopy(module)
    scalable = equalization.find_scalable(trial)
    equalization.insert_scales(trial, scalable)
    places = equalization.find_places(trial)
    if not places:
        return Smoothing({}, ())
    seen = equalization.observe_channels(trial, places, batches)
    insertion.insert_quantizers(
        trial, numerics, float_layers=float_layers, weight_bits=weight_bits, forms=forms
    )
    calibration.set_ranges(trial, calibration.observe(trial, batches), "min-max")
    calibration.set_weight_steps(trial, search=False)
    tried = [_prepare(trial, place, seen[place.source]) for place in places]
    ask = functools.partial(
        distance.mean_distance, trial, want=want, batches=lambda: judged, outputs=outputs
    )
    costly = set(scalable.values())
    strengths: dict[str, float] = {}
    least = ask()
    for kind in dict.fromkeys(place.kind for place in places):
        these = [one for one in tried if one.place.kind == kind]
        found = {strength: _try(these, strength, ask) for strength in STRENGTHS}
        best = min(found, key=lambda strength: found[strength])
        if found[best] < least * (WORTH if kind in costly else 1.0):
            strengths[kind], least = best, found[best]
            for one in these:
                _change(one, best)
    scaled = tuple(name for name, kind in scalable.items() if kind in strengths)
    return Smoothing(strengths, scaled)


def _prepare(
    trial: fx.GraphModule, place: equalization.EvenedPlace, seen: equalization.Extremes
) -> _Tried:
    quantizers = insertion.find_weight_quantizers(trial)
    names = [sensitivity.find_weight_name(trial, reader) for reader in place.readers]
    weights = tuple(quantizers[name] for name in names if name is not None)
    if len(weights) != len(names):  # a layer that keeps its precision
        place = place._replace(multiplied=())
        weights = ()
    return _Tried(place, seen, sensitivity.find_input_quantizer(trial, place.readers[0]), weights)


def _change(one: _Tried, strength: float) -> equalization.Change | None:
    if not one.weights:
        return None
    change = equalization.make_change(one.place, one.seen, strength)
    change.apply()
    one.set_ranges(change)
    return change


def _try(these: Sequence[_Tried], strength: float, ask: functools.partial[float]) -> float:
    """The distance with the places `these` at `strength`; afterwards all is as it was."""
    changes = [(one, _change(one, strength)) for one in these]
    found = ask()
    for one, change in changes:
        if change is not None:
            change.undo()
            one.set_ranges(None)
    return found
