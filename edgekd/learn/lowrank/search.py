"""From timed offers to the layers that are split: the budget met, and held to it by the whole model."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from edgekd.learn.budget import GAIN
from edgekd.learn.budget import ModelTiming
from edgekd.learn.budget import StepBudget
from edgekd.learn.lowrank import choice
from edgekd.learn.lowrank.choice import Cost
from edgekd.learn.lowrank.choice import Offer
from edgekd.learn.lowrank.choice import SplittableLayer

REPAIRS = 3
"""How often a choice that is slower as a whole than its layers promised is made anew."""
MORE = 1.02
"""A repair asks the layers for at least so many times the saving of the last try."""
HALVINGS = 5
"""Of the interval in which the largest compression of an score budget lies."""
Chosen = Mapping[str, Offer]


class DenseModel(NamedTuple):
    """Time and size of the whole model before any layer is split."""

    latency_us: float
    macs: int
    parameters: int


class SplitTrials(NamedTuple):
    """The measurements that the search may ask for; each call costs seconds to minutes."""

    time: Callable[[Chosen], ModelTiming]
    """Export the whole model with these layers split, and time it beside the dense one."""
    fit: Callable[[Chosen], nn.Module]
    """The model with these layers split and fitted."""
    score_drop: Callable[[nn.Module], float]
    """By how much a model's the validation score is below the dense one's."""


class SplitOutcome(NamedTuple):
    """The result of the search."""

    chosen: Chosen
    """Empty where the model stays dense."""
    model: nn.Module | None
    """Split and fitted; None where the model stays dense."""
    timed: tuple[ModelTiming, ...]
    """Whole models in the order they were tried; the last counts."""
    met: bool
    """Whether the budget is met."""
    why: str


def search(
    layers: Sequence[SplittableLayer], dense: DenseModel, budget: StepBudget, ask: SplitTrials
) -> SplitOutcome:
    """Split what pays, as far as the budget asks; or nothing, and say why.

    Args:
        layers: with measured offers.
        dense: the whole model.
        budget: at most one of its fields is given.
        ask: what can be asked of the device and the data.
    """
    if not any(choice.find_paying(layer) for layer in layers):
        return _stays("no layer pays", ())
    if budget.score_drop is not None:
        return _by_score(layers, budget.score_drop, ask)
    if budget.speedup is not None:
        return _by_speedup(layers, dense.latency_us, budget.speedup, ask)
    chosen, met = _by_size(layers, dense, budget)
    if not chosen:
        return _stays("the budget is met without splitting anything", ())
    timed = ask.time(chosen)
    return _judged(chosen, ask, (timed,), met, "smaller as asked" if met else "as small as pays")


def _by_size(
    layers: Sequence[SplittableLayer], dense: DenseModel, budget: StepBudget
) -> tuple[Chosen, bool]:
    """The choice for a share of MACs or parameters, else of the fastest offers; whether it is met."""
    shares: dict[Cost, float | None] = {"macs": budget.macs, "parameters": budget.parameters}
    for cost, share in shares.items():
        if share is None:
            continue
        found = choice.pick_least_error(layers, cost, (1 - share) * getattr(dense, cost))
        picks = found or choice.pick_cheapest(layers, cost)
        return choice.keep_split(layers, picks), found is not None
    return choice.keep_split(layers, choice.pick_cheapest(layers, "latency_us")), True


def _by_speedup(
    layers: Sequence[SplittableLayer], dense_us: float, speedup: float, ask: SplitTrials
) -> SplitOutcome:
    """The least error at which the whole model is fast enough.

    A layer alone is not a layer between others, so the saving that the layers promise is scaled by
    what the whole model showed, until it is fast enough or nothing is left to split.
    """
    need = wanted = dense_us * (1 - 1 / speedup)
    tried: list[ModelTiming] = []
    for _ in range(1 + REPAIRS):
        found = choice.pick_least_error(layers, "latency_us", wanted)
        picks = found or choice.pick_cheapest(layers, "latency_us")
        chosen = choice.keep_split(layers, picks)
        if not chosen:
            return _stays("the budget is met without splitting anything", ())
        tried.append(ask.time(chosen))
        if tried[-1].ratio >= speedup or found is None:
            break
        reached = dense_us * max(1 - 1 / tried[-1].ratio, 0.01)
        promised = choice.compute_saving(layers, picks, "latency_us")
        wanted = max(promised * need / reached, promised * MORE)
    met = tried[-1].ratio >= speedup
    why = "as fast as asked" if met else f"the most that pays, short of {speedup:g} times"
    return _judged(chosen, ask, tuple(tried), met, why)


def _by_score(layers: Sequence[SplittableLayer], allowed: float, ask: SplitTrials) -> SplitOutcome:
    """The largest saving of time whose loss of score, with fitted weights, is allowed."""
    most = choice.compute_saving(layers, choice.pick_cheapest(layers, "latency_us"), "latency_us")
    low, high, level = 0.0, 1.0, 1.0
    best: tuple[Chosen, nn.Module] | None = None
    least = float("inf")
    for _ in range(1 + HALVINGS):
        picks = choice.pick_least_error(layers, "latency_us", level * most)
        chosen = {} if picks is None else choice.keep_split(layers, picks)
        if not chosen:
            break
        model = ask.fit(chosen)
        lost = ask.score_drop(model)
        least = min(least, lost)
        if lost <= allowed:
            best, low = (chosen, model), level
        else:
            high = level
        if low >= high:
            break
        level = (low + high) / 2
    if best is None:
        return _stays(
            f"every split that pays loses more than {allowed:g} of the score "
            f"(the least seen {least:.2f}), before recovery",
            (),
        )
    timed = ask.time(best[0])
    why = f"the most that loses at most {allowed:g} of the validation score"
    return _judged(best[0], ask, (timed,), True, why, best[1])


def _judged(
    chosen: Chosen,
    ask: SplitTrials,
    timed: tuple[ModelTiming, ...],
    met: bool,
    why: str,
    model: nn.Module | None = None,
) -> SplitOutcome:
    """The choice, unless the whole model gains too little by it."""
    ratio = timed[-1].ratio
    if ratio < 1 + GAIN:
        gained = f"as a whole {ratio:.3f} times as fast, want at least {1 + GAIN:.2f}"
        return _stays(gained, timed)
    if model is None:
        model = ask.fit(chosen)
    return SplitOutcome(chosen, model, timed, met, f"{why}: {ratio:.2f} times as fast as a whole")


def _stays(why: str, timed: tuple[ModelTiming, ...]) -> SplitOutcome:
    return SplitOutcome({}, None, timed, False, f"stays dense: {why}")
