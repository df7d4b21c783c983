"""Which layers are split, and how: what does not pay on the device stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from typing import NamedTuple

from edgekd.learn.budget import GAIN
from edgekd.learn.lowrank import knapsack
from edgekd.learn.lowrank.chain import Chain

Cost = Literal["latency_us", "macs", "parameters"]


class Offer(NamedTuple):
    """One way to have a layer."""

    structure: str
    """``dense`` for the layer as it is."""
    ranks: tuple[int, ...]
    parts: Chain
    error: float
    """Of its output, relative, on calibration data."""
    macs: int
    parameters: int
    latency_us: float = 0.0
    """Alone, at its real input shape, on the device."""


class SplittableLayer(NamedTuple):
    """A layer that may be split, and what there is for it."""

    path: str
    shape: tuple[int, ...]
    dense: Offer
    offers: tuple[Offer, ...]

    def gain(self, offer: Offer) -> float:
        """The fraction of the dense layer's time that `offer` saves."""
        return 1 - offer.latency_us / self.dense.latency_us


Picks = list[Offer]
"""One a layer, in their order; the dense one where it stays."""


def find_paying(layer: SplittableLayer) -> tuple[Offer, ...]:
    """Return the offers that save at least `GAIN` of the layer's time."""
    return tuple(offer for offer in layer.offers if layer.gain(offer) >= GAIN)


def explain_dense(layer: SplittableLayer) -> str:
    """Say why no offer for a layer pays."""
    if not layer.offers:
        return "no aligned rank has fewer parameters than the layer"
    best = max(layer.offers, key=layer.gain)
    ranks = " and ".join(map(str, best.ranks))
    return (
        f"does not pay: the fastest, {best.structure} at rank {ranks}, saves "
        f"{100 * layer.gain(best):.1f} % of {layer.dense.latency_us:.0f} us, "
        f"want at least {100 * GAIN:.0f} %"
    )


def pick_cheapest(layers: Sequence[SplittableLayer], cost: Cost) -> Picks:
    """Return the picks that cost least; of equals the one that errs least."""
    return [
        min(
            (layer.dense, *find_paying(layer)),
            key=lambda offer: (getattr(offer, cost), offer.error),
        )
        for layer in layers
    ]


def compute_saving(layers: Sequence[SplittableLayer], picks: Picks, cost: Cost) -> float:
    """Return the cost of the dense layers less that of the picks."""
    before = sum(getattr(layer.dense, cost) for layer in layers)
    return float(before - sum(getattr(pick, cost) for pick in picks))


def pick_least_error(
    layers: Sequence[SplittableLayer], cost: Cost, least_saving: float
) -> Picks | None:
    """Return the picks of least summed error that save at least so much; None if none do."""
    options = [(layer.dense, *find_paying(layer)) for layer in layers]
    budget = sum(getattr(layer.dense, cost) for layer in layers) - least_saving
    found = knapsack.choose(
        [[knapsack.Option(getattr(offer, cost), offer.error) for offer in row] for row in options],
        budget,
    )
    if found is None:
        best = pick_cheapest(layers, cost)  # a grain of the knapsack may be all that was missing
        return best if compute_saving(layers, best, cost) >= least_saving else None
    return [row[number] for row, number in zip(options, found, strict=True)]


def keep_split(layers: Sequence[SplittableLayer], picks: Picks) -> dict[str, Offer]:
    """Return the picks that change a layer, by path."""
    return {
        layer.path: pick
        for layer, pick in zip(layers, picks, strict=True)
        if pick.structure != layer.dense.structure
    }
