from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from edgekd.bench import statistics

DRAWS = {
    "normal": lambda random, n: random.normal(3, 0.2, n),
    "lognormal": lambda random, n: random.lognormal(0, 0.5, n),
    "bimodal": lambda random, n: random.normal(1, 0.05, n) + (random.random(n) < 0.3),
    "spikes": lambda random, n: random.normal(2, 0.1, n) + 5 * (random.random(n) < 0.1),
}


@pytest.mark.parametrize(
    ("count", "low", "high"), [(6, 1, 6), (10, 2, 9), (20, 6, 15), (30, 10, 21)]
)
def test_ranks_of_the_specification(count: int, low: int, high: int) -> None:
    # reference specification of the benchmark, section 4.4
    interval = statistics.median_interval(list(range(1, count + 1)))
    assert interval == (low, high)


def test_the_ranks_are_the_widest_binomial_tail_under_five_percent() -> None:
    for count in (6, 7, 25, 101, 500):
        rank = statistics.interval_rank(count)
        heads = np.random.default_rng(count).binomial(count, 0.5, 200_000)
        assert 2 * (heads < rank).mean() <= 0.05 + 0.003
        assert 2 * (heads < rank + 1).mean() > 0.05 - 0.003


def test_large_counts_agree_with_the_exact_rank() -> None:
    exact = statistics.interval_rank(500)
    assert abs(statistics.interval_rank(501) - exact) <= 1


def test_no_interval_of_five() -> None:
    assert statistics.median_interval([1, 2, 3, 4, 5]) is None


@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("count", [6, 12, 30])
def test_the_interval_covers_the_true_median(kind: str, count: int) -> None:
    random = np.random.default_rng(11)
    truth = float(np.median(DRAWS[kind](random, 400_000)))
    held = 0
    for _ in range(2000):
        interval = statistics.median_interval(DRAWS[kind](random, count).tolist())
        assert interval is not None
        held += interval.low <= truth <= interval.high
    # 95 % is promised; three standard errors of 2,000 runs are 1.5 points
    assert 0.935 <= held / 2000 <= 0.995


def machine(random: np.random.Generator, rho: float, sigma: float, count: int) -> list[float]:
    """AR(1) of the logarithm about 1: neighbours resemble each other, as on a shared host."""
    level, series = random.normal(), []
    for _ in range(count):
        series.append(float(np.exp(sigma * level)))
        level = rho * level + random.normal(0, np.sqrt(1 - rho**2))
    return series


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.7])
def test_the_interval_over_thirty_processes_of_a_drifting_machine(rho: float) -> None:
    random = np.random.default_rng(5)
    narrow = wide = 0
    for _ in range(600):
        series = machine(random, rho, 0.05, 30)
        plain, widened = (
            statistics.median_interval(series),
            statistics.summarize_processes(series).interval,
        )
        assert plain is not None and widened is not None
        narrow += plain.low <= 1 <= plain.high
        wide += widened.low <= 1 <= widened.high
    # 94 % is the goal; three standard errors of 600 runs are 2.7 points
    assert 0.94 - 0.027 <= wide / 600 <= 0.99
    assert rho == 0 or narrow / 600 < 0.88  # without the widening it is wrong for such a machine


def test_ending_when_it_is_narrow_does_not_spoil_the_interval() -> None:
    random, held, ran = np.random.default_rng(6), 0, 0
    for _ in range(600):
        series = machine(random, 0, 0.02, 30)
        count = next((n for n in range(6, 30) if statistics.is_settled(series[:n], 0.02)), 30)
        interval = statistics.summarize_processes(series[:count]).interval
        assert interval is not None
        held += interval.low <= 1 <= interval.high
        ran += count
    assert 0.94 - 0.027 <= held / 600 <= 0.99
    assert ran / 600 < 16  # and it does end: 30 would be all


@pytest.mark.parametrize("spread", [0.001, 0.3, 2.0])
def test_an_interval_of_what_cannot_be_negative_ends_above_nothing(spread: float) -> None:
    # a machine whose first half is quick and whose second is slow: neighbours are alike
    series = [np.exp(-spread)] * 3 + [1.0] + [np.exp(spread)] * 3
    found = statistics.summarize_processes(series)
    assert found.drifting and found.interval is not None
    assert 0 < found.interval.low < min(series) and found.interval.high > max(series)
    if spread < 0.01:  # where it is narrow, by ratio and by difference are the same
        plain = statistics.widen(
            statistics.ProcessSummary(1.0, statistics.median_interval(series), False),
            statistics.correlated_factor(statistics.autocorrelation(series), len(series)),
        )
        assert plain.interval is not None
        assert found.interval == pytest.approx(plain.interval, rel=1e-3)


def test_the_widening_is_the_autoregressive_one_for_many_values() -> None:
    # effective sample size n (1 - r) / (1 + r); of 10,000 values the small-sample terms are gone
    assert statistics.correlated_factor(0.5, 10_000) == pytest.approx(np.sqrt(3), rel=0.002)
    assert statistics.correlated_factor(0.5, 30) > statistics.correlated_factor(0.5, 100)
    assert np.isfinite(statistics.correlated_factor(0.99, 6))


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_few_values_show_too_little_autocorrelation(rho: float) -> None:
    random = np.random.default_rng(9)
    shown = [statistics.autocorrelation(machine(random, rho, 0.05, 20)) for _ in range(3000)]
    assert np.mean(shown) < rho - 0.03
    assert np.mean([statistics.correct_bias(r, 20) for r in shown]) == pytest.approx(rho, abs=0.03)


def test_other_levels_have_their_ranks() -> None:
    assert statistics.median_interval(list(range(1, 16)), 0.05) == (4, 12)
    assert statistics.median_interval(list(range(1, 16)), 0.01) == (3, 13)
    assert statistics.median_interval(list(range(1, 7)), 0.03) is None


def test_median_is_numpys() -> None:
    random = np.random.default_rng(0)
    for count in (1, 2, 7, 100):
        values = random.normal(size=count)
        assert statistics.median(values.tolist()) == pytest.approx(np.median(values), rel=1e-15)


def test_median_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        statistics.median([])


@pytest.mark.parametrize(("q", "needed"), [(90, 64), (95, 130), (99, 662)])
def test_a_percentile_is_null_until_there_are_enough(q: int, needed: int) -> None:
    values = list(range(needed - 1))
    assert statistics.percentile(values, q) == (None, f"n={needed - 1} < {needed}")
    figure = statistics.percentile([*values, needed - 1], q)
    assert figure.value == np.percentile(range(needed), q, method="inverted_cdf")


def test_autocorrelation_is_its_definition() -> None:
    values = np.random.default_rng(1).normal(size=50).cumsum()
    apart = values - values.mean()
    want = (apart[1:] * apart[:-1]).sum() / (apart**2).sum()
    assert statistics.autocorrelation(values.tolist()) == pytest.approx(want, rel=1e-9)
    assert statistics.autocorrelation([2, 2, 2, 2]) == 0


def test_settled_needs_six_and_a_narrow_interval() -> None:
    assert not statistics.is_settled([1.0] * 5, 0.02)
    assert statistics.is_settled([1.0] * 6, 0.02)
    # [x(1), x(6)]: half-width 0.05
    assert not statistics.is_settled([0.95, 1.05, 0.99, 1.01, 1.0, 1.0], 0.02)
    assert statistics.is_settled([0.95, 1.05, 0.99, 1.01, 1.0, 1.0], 0.051)


def oscillating(*values: float) -> list[float]:
    """The values in an order in which neighbours never resemble each other: low, high, low, ..."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return [one for pair in zip(ordered[:half], ordered[half:], strict=True) for one in pair]


def test_what_ends_a_run_is_wider_than_the_interval_that_is_told() -> None:
    """Of 12 values the usual interval is [x(3), x(10)], the one that ends a run [x(2), x(11)]: binomial
    tails of 79 / 4096 and 13 / 4096 a side."""
    series = oscillating(0.90, 0.95, *[0.995] * 4, *[1.005] * 4, 1.05, 1.10)
    assert statistics.autocorrelation(series) < 0
    told = statistics.summarize_processes(series).interval
    assert told is not None and not statistics.summarize_processes(series).drifting
    assert told.half_width(1.0) < 0.01
    assert not statistics.is_settled(series, 0.02)  # [0.95, 1.05]
    assert statistics.is_settled(series, 0.051)


def test_a_run_does_not_end_where_neighbours_may_be_alike_without_being_seen_to() -> None:
    """Twelve values without any correlation to be seen: so few show too little of what there is."""
    random = np.random.default_rng(0)
    while True:
        series = random.normal(1, 0.01, 12).tolist()
        seen = statistics.autocorrelation(series)
        if 0.1 < seen < statistics.DRIFTING:
            break
    assert statistics.correct_bias(seen, 12) > statistics.DRIFTING
    cautious = statistics.median_interval(series, statistics.CAUTIOUS)
    assert cautious is not None
    width = cautious.half_width(statistics.median(series))
    # (1 + r) / (1 - r) with r = 0.2 alone makes it 1.22 times as wide
    assert not statistics.is_settled(series, 1.2 * width)
    assert statistics.is_settled(series, 4 * width)


@pytest.mark.parametrize("count", [6, 8, 12, 20, 30])
@pytest.mark.parametrize("seen", [0.0, 0.25, 0.5, 0.8])
def test_few_values_are_widened_by_students_law(seen: float, count: int) -> None:
    """Against scipy's quantiles: as many degrees of freedom as independent values, less one."""
    r = min(max(seen, (count * seen + 1) / (count - 4)), statistics.WIDEST)
    inflation = (1 + r) / (1 - r)
    worth = max(count / inflation, statistics.FEWEST_WORTH)
    student = scipy.stats.t.ppf(0.975, worth - 1) / scipy.stats.norm.ppf(0.975)
    want = np.sqrt(inflation * worth / (worth - 1)) * student
    found = statistics.correlated_factor(seen, count)
    # a closed form stands for the quantile: never below it, and within 6 %
    assert want <= found <= 1.06 * want


def test_a_fifth_value_is_needed_to_guess_a_correlation() -> None:
    assert statistics.correct_bias(-0.9, 4) == statistics.WIDEST
    assert statistics.correct_bias(0.0, 5) == 1.0 and statistics.correct_bias(
        0.3, 10
    ) == pytest.approx(4 / 6)
