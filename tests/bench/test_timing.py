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
    times = timing.run_steady(virtual.step, virtual.clock, timing.Steady())
    assert times == [1_000_000] * 1000
    assert virtual.seen == list(range(1000))


def test_a_slow_model_gets_thirty_iterations() -> None:
    virtual = Virtual(lambda i: 100_000_000)
    assert len(timing.run_steady(virtual.step, virtual.clock, timing.Steady())) == 30


def test_noise_is_measured_until_the_median_is_known() -> None:
    random = np.random.default_rng(2)
    virtual = Virtual(lambda i: 1e6 * random.lognormal(0, 0.4))
    times = timing.run_steady(virtual.step, virtual.clock, timing.Steady())
    interval = median_interval(times)
    assert len(times) > 1500
    assert interval is not None and interval.half_width(median(times)) <= 0.01
    assert median(times) == pytest.approx(1e6, rel=0.02)


def test_the_cap_ends_a_hopeless_case() -> None:
    random = np.random.default_rng(3)
    virtual = Virtual(lambda i: 1e6 * random.choice([1, 9]))
    rule = timing.Steady(max_ns=2_000_000_000)
    times = timing.run_steady(virtual.step, virtual.clock, rule)
    assert 2_000_000_000 <= sum(times) < 2_100_000_000


def test_the_estimate_is_not_biased() -> None:
    # 40 processes each: estimator bias at most 0.5 % (section 4.13)
    random = np.random.default_rng(4)
    medians = []
    for _ in range(40):
        virtual = Virtual(lambda i: 1e5 * (1 + random.exponential(0.1)))
        rule = timing.Steady(min_ns=50_000_000, max_ns=200_000_000)
        medians.append(median(timing.run_steady(virtual.step, virtual.clock, rule)))
    assert np.median(medians) == pytest.approx(1e5 * (1 + 0.1 * np.log(2)), rel=0.005)


def test_a_sustained_run_slows_down_as_it_heats() -> None:
    virtual = Virtual(lambda i: 1e6 if virtual.now_ns < 60e9 else 1.5e6)
    stretches = timing.run_sustained(virtual.step, virtual.clock, 180_000_000_000, 1_000_000_000)
    assert virtual.seen == list(range(len(virtual.seen)))  # rotated through, never begun anew
    assert sum(s.iterations for s in stretches) == len(virtual.seen)
    assert stretches[-1].end_ns >= 180e9
    minutes = timing.part_medians_ns(stretches, 60_000_000_000)
    assert minutes == pytest.approx([1e6, 1.5e6, 1.5e6])


def test_parts_of_short_and_uneven_runs() -> None:
    def run(seconds: int) -> list[timing.Stretch]:
        return [timing.Stretch(i * 10**9, (i + 1) * 10**9, 1, float(i)) for i in range(seconds)]

    minute = 60 * 10**9
    assert timing.part_medians_ns(run(150), minute) == [29.5, 89.5]  # half a minute is left out
    assert timing.part_medians_ns(run(120), minute) == [29.5, 89.5]
    assert timing.part_medians_ns(run(10), minute) == [2.0, 7.0]
    assert timing.part_medians_ns([], minute) == []


def test_a_paced_run_keeps_its_timetable() -> None:
    virtual = Virtual(lambda i: 2e6)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        virtual.now_ns += round(seconds * 1e9)

    found = timing.run_paced(virtual.step, virtual.clock, sleep, 10_000_000, 5)
    assert found.times_ns == [2_000_000] * 5 == found.response_ns and found.late == 0
    assert slept == pytest.approx([0.010] + [0.008] * 4)


def test_who_cannot_keep_up_is_late_and_its_answers_are_later_still() -> None:
    virtual = Virtual(lambda i: 15e6)
    sleeps: list[float] = []
    found = timing.run_paced(virtual.step, virtual.clock, sleeps.append, 10_000_000, 4)
    # a sleep that does not sleep: the first call begins 10 ms early
    assert found.times_ns == [15_000_000] * 4
    assert found.response_ns == [5_000_000, 10_000_000, 15_000_000, 20_000_000]
    assert found.late == 1 and len(sleeps) == 2
