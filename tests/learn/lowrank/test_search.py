"""The search against a device whose times are known: budgets, repairs, refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import nn

from edgekd.learn.budget import ModelTiming
from edgekd.learn.budget import StepBudget
from edgekd.learn.lowrank import choice
from edgekd.learn.lowrank.chain import PlainLayer
from edgekd.learn.lowrank.choice import Offer
from edgekd.learn.lowrank.choice import SplittableLayer
from edgekd.learn.lowrank.search import Chosen
from edgekd.learn.lowrank.search import DenseModel
from edgekd.learn.lowrank.search import SplitOutcome
from edgekd.learn.lowrank.search import SplitTrials
from edgekd.learn.lowrank.search import search

PART = (PlainLayer(64, 64, False),)


def layer(path: str, *offers: tuple[float, float], dense_us: float = 100.0) -> SplittableLayer:
    """Offers as (time, error); MACs and parameters are the time."""
    dense = Offer("dense", (), PART, 0.0, int(dense_us), int(dense_us), dense_us)
    made = tuple(
        Offer("svd", (8 * (i + 1),), PART, error, int(us), int(us), us)
        for i, (us, error) in enumerate(offers)
    )
    return SplittableLayer(path, (64,), dense, made)


LAYERS = [
    layer("a", (90, 0.01), (60, 0.1), (30, 0.5)),
    layer("b", (95, 0.02), (70, 0.05), (40, 0.2)),
    layer("c", (98, 0.0), (99, 0.0)),
]
WHOLE = DenseModel(400.0, 400, 400)


class World:
    """A device on which the whole model saves `share` of what its layers promise."""

    def __init__(self, share: float = 1.0, drop: Callable[[Chosen], float] = lambda _: 0.0) -> None:
        self.share, self.drop = share, drop
        self.timed: list[Chosen] = []
        self.last: Chosen = {}

    def time(self, chosen: Chosen) -> ModelTiming:
        self.timed.append(chosen)
        saved = sum(100 - offer.latency_us for offer in chosen.values())
        left = 400 - self.share * saved
        return ModelTiming(0.4, left / 1000, 400 / left, None)

    def fit(self, chosen: Chosen) -> nn.Module:
        self.last = chosen
        return nn.Identity()

    def score_drop(self, model: nn.Module) -> float:
        return self.drop(self.last)

    def search(self, layers: list[SplittableLayer] = LAYERS, **budget: float) -> SplitOutcome:
        return search(
            layers, WHOLE, StepBudget(**budget), SplitTrials(self.time, self.fit, self.score_drop)
        )


def names(outcome: SplitOutcome) -> dict[str, float]:
    return {path: offer.latency_us for path, offer in outcome.chosen.items()}


def test_a_speed_up_is_met_with_the_least_error() -> None:
    world = World()
    found = world.search(speedup=400 / 330)  # 70 us: 40 + 30 at an error of 0.15
    assert names(found) == {"a": 60, "b": 70} and found.met
    assert len(world.timed) == 1 and found.timed[0].ratio >= 400 / 330 and found.model is not None


def test_a_whole_that_is_slower_than_its_layers_is_repaired() -> None:
    world = World(share=0.6)
    found = world.search(speedup=400 / 350)  # 50 us of the whole are 83 of the layers
    assert found.met and len(world.timed) == 2
    assert sum(100 - us for us in names(found).values()) * 0.6 >= 50


def test_what_cannot_be_reached_is_as_fast_as_can_be_and_says_so() -> None:
    found = World().search(speedup=3.0)
    assert names(found) == {"a": 30, "b": 40} and not found.met
    assert "short of 3 times" in found.why


@pytest.mark.parametrize("cost", ["macs", "parameters"])
def test_a_share_of_the_size(cost: str) -> None:
    found = World().search(**{cost: 330 / 400})
    assert names(found) == {"a": 60, "b": 70} and found.met
    assert not World().search(**{cost: 0.1}).met


def test_as_much_as_the_accuracy_allows() -> None:
    def drop(chosen: Chosen) -> float:
        return 10 * sum(offer.error for offer in chosen.values())

    found = World(drop=drop).search(score_drop=2.0)
    assert drop(found.chosen) <= 2.0 and found.met
    # of the choices that lose at most 2 points none saves more than 40 + 30
    assert sum(100 - us for us in names(found).values()) == 70
    assert names(World().search(score_drop=0.0)) == {"a": 30, "b": 40}
    never = World(drop=lambda _: 5.0).search(score_drop=1.0)
    assert not never.chosen and "loses more than 1 of the score (the least seen 5.00)" in never.why


def test_ranks_without_a_budget_take_what_pays() -> None:
    assert names(World().search()) == {"a": 30, "b": 40}


def test_layers_that_do_not_pay_stay_dense() -> None:
    world = World()
    found = world.search([LAYERS[2]], speedup=1.5)
    assert not found.chosen and found.model is None and not world.timed
    assert found.why == "stays dense: no layer pays"
    assert choice.find_paying(LAYERS[2]) == ()
    assert choice.explain_dense(LAYERS[2]).startswith(
        "does not pay: the fastest, svd at rank 8, saves 2.0"
    )
    assert "no aligned rank" in choice.explain_dense(layer("d"))


def test_a_whole_that_gains_under_three_percent_stays_dense() -> None:
    for budget in ({"speedup": 1.2}, {"macs": 0.9}, {"score_drop": 9.0}, {}):
        found = World(share=0.05).search(**budget)
        assert not found.chosen and found.model is None and found.timed
        assert "want at least 1.03" in found.why


def test_where_the_whole_gains_nothing_the_next_try_is_all_there_is() -> None:
    """What the layers promised came to nothing: a step a little further would only waste a timing."""
    world = World(share=0.0)
    assert not world.search(speedup=1.1).chosen
    assert [sum(100 - o.latency_us for o in c.values()) for c in world.timed] == [40, 130]


def test_a_whole_is_timed_four_times_at_most() -> None:
    """Each layer saves less than it promises, so every try falls a little short."""
    fine = [layer(f"{n}", *((100 - us, us / 1000) for us in range(4, 60, 2))) for n in range(4)]

    class Sagging(World):
        def time(self, chosen: Chosen) -> ModelTiming:
            self.share = 0.5 / (1 + len(self.timed))
            return super().time(chosen)

    world = Sagging()
    world.search(fine, speedup=1.1)
    assert len(world.timed) == 4
