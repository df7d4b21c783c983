from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom

from edgekd.bench import statistics
from edgekd.bench.pair import comparison
from edgekd.bench.statistics import Interval

RUNS = 1000


def pairs(kind: str, random: np.random.Generator, count: int, truth: float) -> NDArray[np.float64]:
    """Log-ratios of `count` pairs: what is left when both models share a machine's state."""
    noise = {
        "normal": lambda: random.normal(0, 0.025, count),
        "lognormal": lambda: 0.03 * (random.lognormal(0, 0.7, count) - 1),
        "bimodal": lambda: random.normal(0, 0.01, count) + 0.06 * (random.random(count) < 0.25),
        "drifting": lambda: random.normal(0, 0.02, count) + np.linspace(-0.004, 0.004, count),
        "spikes": lambda: (
            random.normal(0, 0.02, count)
            + random.choice([-0.4, 0, 0.4], count, p=[0.05, 0.9, 0.05])
        ),
    }
    return np.log(truth) + noise[kind]()


KINDS = ("normal", "lognormal", "bimodal", "drifting", "spikes")


@pytest.mark.parametrize("kind", KINDS)
def test_the_ratio_is_unbiased_and_the_interval_covers_it(kind: str) -> None:
    random = np.random.default_rng(3)
    center = float(np.median(pairs(kind, random, 400_001, 1.0)))
    ratios, held = [], 0
    for _ in range(RUNS):
        log_ratios = pairs(kind, random, 15, 1.05)
        found = comparison.summarize_pairs(log_ratios.tolist())
        assert found.interval is not None
        held += found.interval.low <= math.log(1.05) + center <= found.interval.high
        ratios.append(found.value - center)
    assert math.exp(np.mean(ratios)) == pytest.approx(1.05, rel=0.005)
    # at least 94 % is the goal, 96.5 % the sign test's own; three errors of 1,000 runs: 1.8 points
    assert 0.94 <= held / RUNS <= 0.995


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.90, 0.98, "faster"),
        (0.90, 0.991, "unresolved"),
        (1.02, 1.08, "slower"),
        (1.009, 1.08, "unresolved"),
        (0.99, 1.01, "equivalent"),
        (0.98, 1.005, "unresolved"),
        (0.5, 2.0, "unresolved"),
    ],
)
def test_verdicts(low: float, high: float, verdict: str) -> None:
    assert comparison.verdict_of(Interval(low, high), 0.01) == verdict


def test_without_an_interval_nothing_is_resolved() -> None:
    found = comparison.judge([0.5] * 5)
    assert found.verdict == "unresolved" and found.interval is None and found.bootstrap is None
    assert found.ratio == pytest.approx(math.exp(0.5))


def test_swapping_the_models_turns_the_verdict_round() -> None:
    log_ratios = np.random.default_rng(0).normal(0.06, 0.01, 15)
    there, back = comparison.judge(log_ratios.tolist()), comparison.judge((-log_ratios).tolist())
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert there.interval is not None and back.interval is not None
    assert back.interval == pytest.approx((1 / there.interval.high, 1 / there.interval.low))


@pytest.mark.parametrize(
    ("most", "at"),
    [(6, [6]), (15, [15]), (19, [19]), (20, [10, 20]), (30, [10, 20, 30]), (35, [10, 20, 30, 35])],
)
def test_looks(most: int, at: list[int]) -> None:
    found = comparison.plan_looks(most)
    assert [look.pairs for look in found] == at
    assert sum(comparison.true_alpha(*look) for look in found) <= 0.05
    # each is given its even share at least, and what is not spent goes on to the next
    shares = np.cumsum([look.alpha for look in found])
    assert all(share >= 0.05 * (n + 1) / len(at) - 1e-12 for n, share in enumerate(shares))


@pytest.mark.parametrize("most", [15, 20, 30])
def test_ending_at_a_look_costs_nothing(most: int) -> None:
    """Identical models, delta 0: any verdict is wrong; drawn independently of `comparison.true_alpha`."""
    random, wrong = np.random.default_rng(1), 0
    for _ in range(4000):
        log_ratios = random.normal(0, 0.02, most)
        for look in comparison.plan_looks(most):
            interval = statistics.median_interval(log_ratios[: look.pairs].tolist(), look.alpha)
            if interval is not None and not interval.low <= 0 <= interval.high:
                wrong += 1
                break
    assert wrong / 4000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)


def test_an_effect_is_found_and_identical_models_are_not_told_apart() -> None:
    """What the default margin is chosen for, at the spread measured on a shared host."""
    random, called = np.random.default_rng(8), {1.0: 0, 1.05: 0}
    for truth in called:
        for _ in range(400):
            log_ratios = pairs("normal", random, comparison.PAIRS, truth)
            found = comparison.summarize_pairs(log_ratios.tolist()).interval
            assert found is not None
            limits = Interval(math.exp(found.low), math.exp(found.high))
            verdict = comparison.verdict_of(limits, comparison.DELTA)
            called[truth] += verdict in ("faster", "slower")
    assert called[1.0] <= 400 / 60
    assert called[1.05] >= 0.9 * 400


def test_the_bootstrap_is_seeded_and_exact() -> None:
    log_ratios = np.random.default_rng(2).normal(0.1, 0.02, 15)
    found = comparison.bootstrap(log_ratios.tolist(), 0)
    assert found is not None and found == comparison.bootstrap(log_ratios.tolist(), 0)
    ordered = np.exp(np.sort(log_ratios))
    # the median of 15 draws is at most x(k) if 8 of them are, each with probability k / 15
    below = binom.sf(7, 15, np.arange(1, 16) / 15)
    for limit, chance in zip(found, (0.025, 0.975), strict=True):
        k = int(np.argmin(abs(ordered - limit)))
        assert limit == pytest.approx(ordered[k], rel=1e-9)
        assert below[k - 1] - 0.005 <= chance <= below[k] + 0.005


def test_neighbouring_pairs_that_resemble_each_other_widen_the_interval() -> None:
    slow = np.sin(np.linspace(0, 2 * np.pi, 15)).tolist()
    mixed = sorted(slow, key=lambda value: hash(round(value, 6)))
    assert comparison.judge(slow).drifting
    wide, plain = comparison.judge(slow).interval, statistics.median_interval(mixed)
    assert wide is not None and plain is not None
    assert math.log(wide.high / wide.low) > 1.5 * (plain.high - plain.low)


@pytest.mark.parametrize("count", [8, 15, 30])
def test_the_widening_is_the_autoregressive_one_and_begins_where_it_says(count: int) -> None:
    """Effective sample size n (1 - r) / (1 + r): an interval is wider by the root of its inverse."""
    random, seen = np.random.default_rng(2), {True: 0, False: 0}
    for _ in range(300):
        series = np.cumsum(random.normal(0, 0.01, count)) * random.choice([0, 1])
        series = (series + random.normal(0, 0.01, count)).tolist()
        r, middle = statistics.autocorrelation(series), statistics.median(series)
        plain = statistics.median_interval(series)
        found = comparison.summarize_pairs(series)
        assert plain is not None and found.interval is not None
        assert found.drifting == (r > 0.3) and found.value == middle
        factor = math.sqrt((1 + min(r, 0.9)) / (1 - min(r, 0.9))) if r > 0.3 else 1.0
        assert found.interval.low == pytest.approx(middle - factor * (middle - plain.low))
        assert found.interval.high == pytest.approx(middle + factor * (plain.high - middle))
        seen[found.drifting] += 1
    assert min(seen.values()) > 30


@pytest.mark.parametrize("alpha", [0.05, 0.0167, 0.001])
def test_what_a_look_spends_is_the_binomial_tail_of_its_ranks(alpha: float) -> None:
    for count in range(1, 60):
        rank = statistics.interval_rank(count, alpha)
        want = 2 * scipy.stats.binom.cdf(rank - 1, count, 0.5)
        assert comparison.true_alpha(count, alpha) == pytest.approx(want) and want <= alpha
        assert 2 * scipy.stats.binom.cdf(rank, count, 0.5) > alpha


def test_the_smallest_effect_is_what_is_found_nine_times_in_ten() -> None:
    random = np.random.default_rng(4)
    effects = [
        comparison.smallest_effect(random.normal(0, 0.02, 400).tolist(), n, delta=0.01)
        for n in (15, 30)
    ]
    assert effects[1] < effects[0]
    for count, effect in zip((15, 30), effects, strict=True):
        found = 0
        for _ in range(1000):
            log_ratios = random.normal(math.log(1 + effect), 0.02, count)
            interval = statistics.median_interval(log_ratios.tolist())
            assert interval is not None
            found += interval.low > math.log(1.01)
        assert found / 1000 == pytest.approx(0.9, abs=0.06)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        comparison.judge([])
    with pytest.raises(ValueError, match="delta"):
        comparison.judge([0.0], delta=1.5)
    with pytest.raises(ValueError, match="want log-ratios and 6 pairs"):
        comparison.smallest_effect([0.1], 5)


@pytest.mark.parametrize("count", [9, 19, 40])
def test_the_margin_is_the_order_statistic_that_scipy_names(count: int) -> None:
    """Of n sizes the k-th lies above a share k / (n + 1) on average; of few pairs the largest serves."""
    pairs, sizes = 15, [0.001 * (i + 1) for i in range(count)]
    rank = statistics.interval_rank(pairs)
    rare = brentq(lambda p: binom.cdf(rank - 1, pairs, p) - comparison.POWER, 0, 0.5)
    place = min(count, math.ceil((1 - 2 * rare) * (count + 1)))
    want = (1 + comparison.DELTA) * math.exp(sizes[place - 1]) - 1
    signs = [(-1) ** i * size for i, size in enumerate(sizes)]
    assert comparison.smallest_effect(signs, pairs) == pytest.approx(want)
