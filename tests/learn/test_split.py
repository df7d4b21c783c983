from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.learn.source import Source
from edgekd.learn.source import Split
from edgekd.learn.split import divide
from edgekd.learn.split import stratified


def source(counts: list[int], *, validation: bool = False, test: bool = False) -> Source:
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    split = Split(images, labels)
    own = Split(images[:: len(images) - 1], labels[:: len(images) - 1])
    names = tuple(f"class {number}" for number in range(len(counts)))
    return Source(split, own if validation else None, own if test else None, names)


@given(
    st.lists(st.integers(2, 60), min_size=2, max_size=8),
    st.floats(0.01, 0.99),
    st.integers(0, 2**63 - 1),
)
def test_each_class_gives_its_share_and_no_sample_stands_twice(
    counts: list[int], fraction: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    kept, held = stratified(labels, fraction, [seed])
    assert sorted([*kept, *held]) == list(range(len(labels)))
    for number, count in enumerate(counts):
        got = int((labels[held] == number).sum())
        assert 1 <= got <= count - 1
        assert abs(got - count * fraction) <= 0.5 or got in (1, count - 1)


def test_a_class_of_one_cannot_be_shared_out() -> None:
    with pytest.raises(ValueError, match="1 sample of class 1"):
        stratified(np.array([0, 0, 1, 2, 2]), 0.5, [0])


def test_a_number_no_sample_has_is_no_class() -> None:
    kept, held = stratified(np.array([0, 0, 3, 3]), 0.5, [0])
    assert len(kept) == len(held) == 2


def test_any_run_of_samples_is_a_fair_sample_of_all() -> None:
    # Of 20 fair draws from two equal classes, the number of ones is 10 +- 1.76 on average (the
    # binomial's mean deviation); of 200 such means the standard deviation is 0.1. Without the
    # last shuffle one side opens, the other ends, with whole runs of one class.
    labels = np.repeat([0, 1], 500)
    for side in (0, 1):
        for where in (slice(None, 20), slice(-20, None)):
            ones = [labels[stratified(labels, 0.1, [s])[side][where]].sum() for s in range(200)]
            assert np.mean(ones) == pytest.approx(10, abs=0.8)
            assert np.mean(np.abs(np.array(ones) - 10)) == pytest.approx(1.76, abs=0.4)


def test_a_split_is_a_function_of_the_seed() -> None:
    data = source([50, 50])
    for name in ("train", "validation", "test"):
        orders = [
            divide(data, validation=0.1, test=0.2, limit=None, seed=seed)[name].order.tolist()
            for seed in (1, 1, 2)
        ]
        assert orders[0] == orders[1] != orders[2]
        assert set(orders[0]) != set(orders[2])


def test_three_splits_from_one_share_no_sample() -> None:
    parts = divide(source([30, 50, 20]), validation=0.25, test=0.2, limit=None, seed=3)
    assert {name: len(part.order) for name, part in parts.items()} == {
        "train": 60,
        "validation": 20,
        "test": 20,
    }
    together = np.concatenate([part.order for part in parts.values()])
    assert sorted(together) == list(range(100))


def test_the_makers_own_splits_are_taken_whole() -> None:
    data = source([30, 30], validation=True, test=True)
    parts = divide(data, validation=0.25, test=0.2, limit=None, seed=3)
    assert sorted(parts["train"].order) == list(range(60))
    assert parts["test"].split is data.test
    assert parts["test"].order.tolist() == [0, 1]
    assert parts["validation"].split is data.validation
    assert sorted(parts["validation"].order) == [0, 1]


def test_the_limit_is_on_training_samples_alone() -> None:
    parts = divide(source([50, 50]), validation=0.1, test=0.2, limit=10, seed=0)
    whole = divide(source([50, 50]), validation=0.1, test=0.2, limit=None, seed=0)
    assert parts["train"].order.tolist() == whole["train"].order[:10].tolist()
    assert parts["validation"].order.tolist() == whole["validation"].order.tolist()


def test_a_limit_may_not_lose_a_class() -> None:
    with pytest.raises(ValueError, match="no training sample of class"):
        divide(source([50, 50]), validation=0.1, test=0.2, limit=1, seed=0)
