"""The account of a search, as JSON: one row a layer, and the whole model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekd.learn.lowrank import choice
from edgekd.learn.lowrank.choice import Offer
from edgekd.learn.lowrank.choice import SplittableLayer
from edgekd.learn.lowrank.layers import LayerUse
from edgekd.learn.lowrank.search import SplitOutcome


def build_table(
    sites: Sequence[LayerUse], layers: Sequence[SplittableLayer], outcome: SplitOutcome
) -> dict[str, Any]:
    """Build the content of ``factorize.json``.

    ``layers``: for each ``path``, ``input`` shape (no batch), ``parameters``, ``dense_us``,
    ``candidates`` (structure, ranks, us, error, macs, parameters), the ``decision`` (``dense`` or
    ``split``) with its ``reason``, and of a split one ``structure``, ``ranks``, ``error``, ``gain``
    (the fraction of its time that is saved). ``end_to_end``: ``before_ms``, ``after_ms``, ``ratio``,
    ``ratio_ci95`` of the model as it was last timed, None if it was not; ``tries``, the ratios.
    """
    known = {layer.path: layer for layer in layers}
    timed = outcome.timed[-1] if outcome.timed else None
    return {
        "status": "split" if outcome.chosen else "dense",
        "why": outcome.why,
        "budget_met": outcome.met,
        "end_to_end": None
        if timed is None
        else {
            **timed._asdict(),
            "tries": [one.ratio for one in outcome.timed],
        },
        "layers": [_row(site, known.get(site.path), outcome) for site in sites],
    }


def _row(site: LayerUse, layer: SplittableLayer | None, outcome: SplitOutcome) -> dict[str, Any]:
    picked = outcome.chosen.get(site.path)
    row: dict[str, Any] = {
        "path": site.path,
        "input": list(site.shape),
        "parameters": None if site.part is None else site.part.parameters,
        "decision": "split" if picked else "dense",
        "reason": _reason(site, layer, picked, outcome),
        "structure": None,
        "ranks": None,
        "error": None,
        "gain": None,
        "dense_us": layer.dense.latency_us if layer else None,
        "candidates": [_candidate(offer) for offer in layer.offers] if layer else [],
    }
    if layer and picked:
        row |= {
            "structure": picked.structure,
            "ranks": list(picked.ranks),
            "error": picked.error,
            "gain": layer.gain(picked),
        }
    return row


def _reason(
    site: LayerUse, layer: SplittableLayer | None, picked: Offer | None, outcome: SplitOutcome
) -> str:
    if site.reason:
        return site.reason
    if layer is None:
        return "the structure asked for does not fit it"
    if picked:
        return "pays, and the budget asks for it"
    if not layer.dense.latency_us:
        return "not measured"
    if not choice.find_paying(layer):
        return choice.explain_dense(layer)
    return (
        "pays, but the budget is met without it"
        if outcome.chosen
        else "the whole model gains too little"
    )


def _candidate(offer: Offer) -> dict[str, Any]:
    return {
        "structure": offer.structure,
        "ranks": list(offer.ranks),
        "us": offer.latency_us or None,
        "error": offer.error,
        "macs": offer.macs,
        "parameters": offer.parameters,
    }
