from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from edgekd.bench.pair import significance
from edgekd.task import Metric
from edgekd.task import ratio
from edgekd.tasks import regression


@pytest.mark.parametrize("count", [1, 2, 9, 30, 401, 20_000])
def test_a_tail_is_scipys(count: int) -> None:
    for least in {0, 1, count // 3, count // 2, count // 2 + 1, count, count + 1}:
        want = scipy.stats.binom.sf(least - 1, count, 0.5)
        assert significance.binomial_tail(least, count) == pytest.approx(want, rel=1e-7, abs=1e-300)


@pytest.mark.parametrize(
    ("lost", "gained"), [(0, 0), (1, 0), (10, 2), (2, 10), (33, 41), (500, 410)]
)
def test_mcnemar_is_the_exact_binomial_test(lost: int, gained: int) -> None:
    both = lost + gained
    want = scipy.stats.binomtest(lost, both, 0.5).pvalue if both else 1.0
    assert significance.mcnemar(lost, gained) == pytest.approx(want, rel=1e-9)


def test_the_sign_test_counts_what_lies_beyond_the_limit() -> None:
    values = [0.2, 0.3, 0.1, 0.1, 0.4, 0.6, 0.7, -0.2, 0.9]
    want = scipy.stats.binomtest(6, 9, 0.5, alternative="greater").pvalue
    assert significance.sign_test(values, 0.1) == pytest.approx(
        want
    )  # two ties speak for the limit


@pytest.mark.parametrize(("lost", "gained", "count"), [(30, 12, 400), (9, 8, 100), (0, 0, 50)])
def test_the_interval_is_scipys_paired_bootstrap(lost: int, gained: int, count: int) -> None:
    found = significance.estimate_drop(lost, gained, count, 0.5, resamples=20_000, seed=3)
    assert found.points == pytest.approx(100 * (lost - gained) / count)
    each = 100 * np.repeat([1.0, -1.0, 0.0], [lost, gained, count - lost - gained])
    if not lost:
        assert found.interval == (0, 0) and found.p_value == 1.0
        return
    random = np.random.default_rng(4)
    want = scipy.stats.bootstrap(
        (each,), np.mean, n_resamples=20_000, method="percentile", rng=random, batch=2000
    ).confidence_interval
    # either end is the mean of few whole samples: one of them is the grain
    assert found.interval == pytest.approx((want.low, want.high), abs=1.01 * 100 / count)


def test_few_differences_prove_nothing_though_the_bootstrap_is_sure() -> None:
    found = significance.estimate_drop(5, 0, 100, 0.0, resamples=10_000, seed=0)
    assert found.interval.low > 0  # it never drew none of the five often enough
    assert found.p_value == pytest.approx(1 / 32) and found.mcnemar_p == pytest.approx(1 / 16)
    assert (
        significance.estimate_drop(9, 0, 100, 0.0, resamples=10_000, seed=0).p_value
        < significance.LEVEL
    )


@pytest.mark.parametrize("allowed", [0.0, 2.0])
def test_a_drop_of_just_what_is_allowed_is_rarely_called_worse(allowed: float) -> None:
    random, count, apart, trials = np.random.default_rng(5), 400, 0.10, 1500
    lost_share = (apart + allowed / 100) / 2
    shares = (lost_share, apart - lost_share, 1 - apart)
    called = 0
    for lost, gained, _ in random.multinomial(count, shares, size=trials):
        found = significance.estimate_drop(
            int(lost), int(gained), count, allowed, resamples=1000, seed=0
        )
        called += found.p_value <= significance.LEVEL
    # 3 standard errors of a true 2.5 %: exceeded by luck once in a thousand such tests
    assert called / trials <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / trials)
    assert called, "it never calls anything worse"


def test_counts_that_do_not_fit_are_refused() -> None:
    for lost, gained, count in ((-1, 0, 5), (3, 3, 5), (0, 0, 0)):
        with pytest.raises(ValueError, match="of"):
            significance.estimate_drop(lost, gained, count, 0.0, resamples=1000, seed=0)


def test_holm_by_hand() -> None:
    # R 4.3: p.adjust(c(.01, .04, .03, .005), "holm") = 0.03 0.06 0.06 0.02
    told = significance.adjust_holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert told == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(told) == ["a", "b", "c", "d"] and significance.adjust_holm({}) == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closure_of_bonferroni(p_values: list[float]) -> None:
    """Marcus, Peritz, Gabriel 1976: reject what every intersection that holds it rejects."""
    names = range(len(p_values))
    subsets = [s for size in names for s in itertools.combinations(names, size + 1)]
    want = {
        str(i): max(min(1.0, len(s) * min(p_values[k] for k in s)) for s in subsets if i in s)
        for i in names
    }
    told = significance.adjust_holm({str(i): p for i, p in enumerate(p_values)})
    assert told == pytest.approx(want)


def test_a_bootstrap_is_never_surer_than_its_draws() -> None:
    """Of 1,000 draws none lies at the limit: one of 1,001, the observed one counted."""
    found = significance.estimate_drop(40, 0, 100, 0.0, resamples=1000, seed=0)
    assert found.p_value == pytest.approx(1 / 1001) and found.mcnemar_p == pytest.approx(2**-39)


def test_a_probability_is_at_most_one() -> None:
    tails = [significance.binomial_tail(1, count) for count in range(1, 500)]
    assert max(tails) <= 1 and min(tails) == 0.5


RMSE, R2 = regression.TASK.metrics[0], regression.TASK.metrics[2]
SHARE = Metric("share", "fraction", "higher", lambda *_: np.zeros((0, 2)), ratio)


def rows(metric: Metric, count: int, worse: float, seed: int) -> np.ndarray:
    """[count, 2] of a model that is off by more, the larger `worse` is."""
    random = np.random.default_rng(seed)
    if metric is SHARE:
        return np.stack([random.random(count) - worse, np.ones(count) + random.random(count)], 1)
    targets = np.random.default_rng(9).normal(size=count)
    return np.stack([random.normal(0, 0.3 + worse, count), targets], axis=1)


def slow_drops(
    metric: Metric, ours: np.ndarray, theirs: np.ndarray, resamples: int, seed: int
) -> list[float]:
    """One draw at a time, row by row, in plain Python."""
    random = np.random.default_rng(seed)
    drops = []
    for _ in range(resamples):
        numbers = [int(n) for n in random.integers(0, len(ours), len(ours))]
        values = []
        for each in (ours, theirs):
            columns = list(zip(*(each[n].tolist() for n in numbers), strict=True))
            if metric is RMSE:
                errors = [math.sqrt(math.fsum(x * x for x in c) / len(c)) for c in columns]
                values.append(math.fsum(errors) / len(errors))
            elif metric is SHARE:
                values.append(100 * math.fsum(columns[0]) / math.fsum(columns[1]))
            else:
                wrong, targets = columns
                mean = math.fsum(targets) / len(targets)
                total = math.fsum((t - mean) ** 2 for t in targets)
                values.append(1 - math.fsum(x * x for x in wrong) / total)
        ours_value, theirs_value = values
        sign = -1 if metric is RMSE else 1
        drops.append(sign * (theirs_value - ours_value))
    return drops


@pytest.mark.parametrize("metric", [RMSE, R2, SHARE], ids=lambda metric: metric.name)
@pytest.mark.parametrize("worse", [0.0, 0.05, -0.05])
def test_a_drop_of_any_metric_is_the_slow_bootstraps(metric: Metric, worse: float) -> None:
    ours, theirs = rows(metric, 80, worse, 1), rows(metric, 80, 0.0, 2)
    allowed = 0.5 if metric is SHARE else 0.02
    found = significance.estimate_metric_drop(metric, ours, theirs, allowed, resamples=300, seed=4)
    drops = slow_drops(metric, ours, theirs, 300, 4)
    low, high = scipy.stats.mstats.mquantiles(drops, (0.025, 0.975), alphap=1, betap=1)
    assert found.interval == pytest.approx((low, high))
    assert found.p_value == pytest.approx((1 + sum(d <= allowed for d in drops)) / 301)
    scale = 100 if metric.unit == "fraction" else 1
    want = scale * (metric.value(theirs) - metric.value(ours))
    assert found.points == pytest.approx(-want if metric.better == "lower" else want)
    assert math.isnan(found.mcnemar_p)


def test_a_drop_is_that_of_pairs() -> None:
    """Models that are off by the same on the same samples differ little, however far off they are."""
    theirs = rows(RMSE, 200, 1.0, 5)
    ours = theirs * 1.02
    found = significance.estimate_metric_drop(RMSE, ours, theirs, 0.0, resamples=500, seed=0)
    apart = significance.estimate_metric_drop(RMSE, ours[::-1], theirs, 0.0, resamples=500, seed=0)
    assert found.points == pytest.approx(apart.points)
    assert found.interval.low > 0 and found.p_value == pytest.approx(1 / 501)
    assert apart.interval.low < 0 < apart.interval.high and apart.p_value > 0.2


@pytest.mark.parametrize("metric", [RMSE, R2, SHARE], ids=lambda metric: metric.name)
def test_a_model_beside_itself_drops_nothing(metric: Metric) -> None:
    each = rows(metric, 50, 0.1, 3)
    found = significance.estimate_metric_drop(metric, each, each, 0.0, resamples=100, seed=0)
    assert (found.points, found.interval, found.p_value) == (0, (0, 0), 1)


@pytest.mark.parametrize(("ours", "theirs"), [((0, 2), (0, 2)), ((5, 2), (6, 2)), ((5, 2), (5, 1))])
def test_rows_that_are_not_alike_are_refused(
    ours: tuple[int, int], theirs: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="want two alike"):
        significance.estimate_metric_drop(
            RMSE, np.zeros(ours), np.zeros(theirs), 0.0, resamples=10, seed=0
        )
