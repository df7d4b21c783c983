"""What steps may cost, by like ones."""

from __future__ import annotations

from typing import Any

from edgekd import estimate
from edgekd.settings import Settings
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.store import Blob
from edgekd.store import CreationTime
from edgekd.store import StoreEntry


class Toy(Settings):
    """Settings of a toy stage."""

    model: str = "small"
    train: dict[str, int] = {"epochs": 10}
    rate: float = 0.1
    candidates: tuple[str, ...] = ()


def step(stage: str = "train", **settings: Any) -> Step:
    return Step("toy", Stage(stage, Toy, lambda *_: {}), Toy(**settings), {})


def entry(took_s: float, size: int = 10, stage: str = "train", **settings: Any) -> StoreEntry:
    inputs = {"stage": stage, "settings": Toy(**settings).model_dump(mode="json")}
    return StoreEntry("k", inputs, {"out": Blob("0", size)}, CreationTime("", took_s))


def cost(of: Step, *entries: StoreEntry) -> tuple[float | None, int | None]:
    (found,) = estimate.estimate_cost([of], entries).steps
    return found.time_s, found.disk_bytes


def test_an_equal_step_counts_before_a_like_one_and_a_like_one_before_none() -> None:
    assert cost(step(), entry(5), entry(7, rate=0.2)) == (5, 10)
    assert cost(step(rate=0.3), entry(5, 20, rate=0.2)) == (5, 20)
    assert cost(step(), entry(1), entry(2), entry(9)) == (2, 10)


def test_what_is_not_alike_says_nothing() -> None:
    for other in (entry(5, stage="prune"), entry(5, model="large")):
        assert cost(step(), other) == (None, None)
    assert cost(step()) == (None, None)
    assert cost(step(), StoreEntry("k", {"stage": "train"}, {}, CreationTime("", 1.0))) == (
        None,
        None,
    )


def test_work_is_scaled_by_epochs_and_candidates() -> None:
    assert cost(step(train={"epochs": 40}), entry(5)) == (20, 10)
    assert cost(step(candidates=("a", "b", "c")), entry(4, candidates=("a", "b"))) == (6, 10)


def test_the_sum_says_what_it_does_not_know() -> None:
    known, unknown = step(), step("prune")._replace(label="prune")
    found = estimate.estimate_cost([known, known, unknown], [entry(5)])
    assert (found.time_s, found.disk_bytes, found.unknown) == (10, 20, ("prune",))
    assert estimate.estimate_cost([], []).unknown == ()
