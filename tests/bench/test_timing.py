from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgekd.bench import timing
from edgekd.bench.statistics import median
from edgekd.bench.statistics import median_interval


class Virtual:
    """A clock that a scripted inference moves."""

    def __init__(self, takes_ns: Callable[[int], float]) -> None:
        self.now_ns = 0
        self.seen: list[int] = []
        self._takes_ns = takes_ns

    def clock(self) -> int:
        return self.now_ns

    def step(self, index: int) -> None:
        self.seen.append(index)
        self.now_ns += round(self._takes_ns(len(self.seen) - 1))


def test_a_warm_machine_needs_three_windows() -> None:
    virtual = Virtual(lambda i: 1_000_000)
    warmed = timing.warm_up(virtual.step, virtual.clock, timing.WarmUp())
    assert warmed.steady
    assert len(warmed.times_ns) == 150  # 3 windows of 50 ms, an iteration 1 ms


def test_a_slow_model_gets_five_iterations_a_window() -> None:
    virtual = Virtual(lambda i: 200_000_000)
    assert len(timing.warm_up(virtual.step, virtual.clock, timing.WarmUp()).times_ns) == 15


def test_warm_up_waits_until_the_fall_ends() -> None:
    virtual = Virtual(lambda i: 1e6 * (1 + 4 * np.exp(-i / 60)))
    warmed = timing.warm_up(virtual.step, virtual.clock, timing.WarmUp())
    assert warmed.steady
    # the first of the last three windows of about 50 iterations is within 2 % of the last
    assert 1 + 4 * np.exp(-(len(warmed.times_ns) - 75) / 60) < 1.03


def test_slow_steady_fall_is_no_steady_state() -> None:
    rule = timing.WarmUp()
    assert not timing.is_steady([100.0, 99.5, 99.0], rule)
    assert timing.is_steady([100.0, 100.5, 100.2], rule)
    assert timing.is_steady([100.0, 99.99, 99.98], rule)
    assert not timing.is_steady([100.0, 103.0, 100.0], rule)
    assert not timing.is_steady([100.0, 100.0], rule)


def test_what_never_settles_is_kept_and_marked() -> None:
    virtual = Virtual(lambda i: 1e6 * 1.001**i)
    warmed = timing.warm_up(virtual.step, virtual.clock, timing.WarmUp(max_ns=1_000_000_000))
    assert not warmed.steady
    assert sum(warmed.times_ns) >= 1_000_000_000


def test_a_quiet_model_stops_at_the_shortest_time() -> None:
    virtual = Virtual(lambda i: 1_000_000)
    times = timing.steady(virtual.step, virtual.clock, timing.Steady())
    assert times == [1_000_000] * 1000
    assert virtual.seen == list(range(1000))


def test_a_slow_model_gets_thirty_iterations() -> None:
    virtual = Virtual(lambda i: 100_000_000)
    assert len(timing.steady(virtual.step, virtual.clock, timing.Steady())) == 30


def test_noise_is_measured_until_the_median_is_known() -> None:
    random = np.random.default_rng(2)
    virtual = Virtual(lambda i: 1e6 * random.lognormal(0, 0.4))
    times = timing.steady(virtual.step, virtual.clock, timing.Steady())
    interval = median_interval(times)
    assert len(times) > 1500
    assert interval is not None and interval.half_width(median(times)) <= 0.01
    assert median(times) == pytest.approx(1e6, rel=0.02)


def test_the_cap_ends_a_hopeless_case() -> None:
    random = np.random.default_rng(3)
    virtual = Virtual(lambda i: 1e6 * random.choice([1, 9]))
    rule = timing.Steady(max_ns=2_000_000_000)
    times = timing.steady(virtual.step, virtual.clock, rule)
    assert 2_000_000_000 <= sum(times) < 2_100_000_000


def test_the_estimate_is_not_biased() -> None:
    # 40 processes each: estimator bias at most 0.5 % (section 4.13)
    random = np.random.default_rng(4)
    medians = []
    for _ in range(40):
        virtual = Virtual(lambda i: 1e5 * (1 + random.exponential(0.1)))
        rule = timing.Steady(min_ns=50_000_000, max_ns=200_000_000)
        medians.append(median(timing.steady(virtual.step, virtual.clock, rule)))
    assert np.median(medians) == pytest.approx(1e5 * (1 + 0.1 * np.log(2)), rel=0.005)
