from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.learn.split import SplitShare
from edgekd.learn.split import divide_samples
from edgekd.learn.split import split_stratified


def shares(counts: list[int], *, own: Sequence[str] = (), **more: Any) -> dict[str, SplitShare]:
    """Of a source with so many training samples by class, and splits of two samples of its own."""
    strata = np.repeat(np.arange(len(counts)), counts)
    words = {"validation": 0.1, "test": 0.2, "limit": None, "seed": 0, **more}
    return divide_samples({"train": len(strata), **dict.fromkeys(own, 2)}, strata, **words)


@given(
    st.lists(st.integers(2, 60), min_size=2, max_size=8),
    st.floats(0.01, 0.99),
    st.integers(0, 2**63 - 1),
)
def test_each_class_gives_its_share_and_no_sample_stands_twice(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    kept, held = split_stratified(labels, fraction, [seed])
    assert sorted([*kept, *held]) == list(range(len(labels)))
    for number, count in enumerate(counts):
        got = int((labels[held] == number).sum())
        assert 1 <= got <= count - 1
        assert abs(got - count * fraction) <= 0.5 or got in (1, count - 1)


def test_a_class_of_one_cannot_be_shared_out() -> None:
    with pytest.raises(ValueError, match="1 sample of class 1"):
        split_stratified(np.array([0, 0, 1, 2, 2]), 0.5, [0])


def test_a_number_no_sample_has_is_no_class() -> None:
    kept, held = split_stratified(np.array([0, 0, 3, 3]), 0.5, [0])
    assert len(kept) == len(held) == 2


def test_any_run_of_samples_is_a_fair_sample_of_all() -> None:
    # Of 20 fair draws from two equal classes, the number of ones is 10 +- 1.76 on average (the
    # binomial's mean deviation); of 200 such means the standard deviation is 0.1. Without the
    # last shuffle one side opens, the other ends, with whole runs of one class.
    labels = np.repeat([0, 1], 500)
    for side in (0, 1):
        for where in (slice(None, 20), slice(-20, None)):
            ones = [
                labels[split_stratified(labels, 0.1, [s])[side][where]].sum() for s in range(200)
            ]
            assert np.mean(ones) == pytest.approx(10, abs=0.8)
            assert np.mean(np.abs(np.array(ones) - 10)) == pytest.approx(1.76, abs=0.4)


def test_a_split_is_a_function_of_the_seed() -> None:
    for name in ("train", "validation", "test"):
        orders = [shares([50, 50], seed=seed)[name].order.tolist() for seed in (1, 1, 2)]
        assert orders[0] == orders[1] != orders[2]
        assert set(orders[0]) != set(orders[2])


@pytest.mark.parametrize("stratified", [True, False])
def test_three_splits_from_one_share_no_sample(stratified: bool) -> None:
    strata = np.repeat([0, 1, 2], [30, 50, 20]) if stratified else None
    made = divide_samples({"train": 100}, strata, validation=0.25, test=0.2, limit=None, seed=3)
    assert {name: (share.split, len(share.order)) for name, share in made.items()} == {
        "train": ("train", 60),
        "validation": ("train", 20),
        "test": ("train", 20),
    }
    together = np.concatenate([share.order for share in made.values()])
    assert sorted(together) == list(range(100))


def test_the_makers_own_splits_are_taken_whole() -> None:
    made = shares([30, 30], own=("validation", "test"), validation=0.25, seed=3)
    assert sorted(made["train"].order) == list(range(60))
    assert made["test"].split == "test"
    assert made["test"].order.tolist() == [0, 1]
    assert made["validation"].split == "validation"
    assert sorted(made["validation"].order) == [0, 1]


def test_the_limit_is_on_training_samples_alone() -> None:
    some, whole = shares([50, 50], limit=10), shares([50, 50])
    assert some["train"].order.tolist() == whole["train"].order[:10].tolist()
    assert some["validation"].order.tolist() == whole["validation"].order.tolist()


def test_a_class_that_cannot_be_shared_out_is_called_by_its_name() -> None:
    with pytest.raises(ValueError, match="got 1 sample of class rare, want 2 or more"):
        split_stratified(np.array([0, 0, 1]), 0.5, [0], ("common", "rare"))
