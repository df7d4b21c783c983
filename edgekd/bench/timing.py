"""When a process is warm, and when it has measured enough. Pure over a clock that can be faked."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.bench.statistics import median
from edgekd.bench.statistics import median_interval

COLD = ("spawn_ms", "import_ms", "load_ms", "first_infer_ms", "second_infer_ms", "tti_ms")
"""The phases of a start, and from the start to the first output."""
Clock = Callable[[], int]
"""Nanoseconds that only grow; ``time.perf_counter_ns``."""
Step = Callable[[int], object]
"""One inference on the i-th input, its outputs touched."""


class WarmUp(NamedTuple):
    """Run windows until their medians agree and no longer fall."""

    window_iterations: int = 5
    window_ns: int = 50_000_000
    """A window is at least this many iterations and this long."""
    windows: int = 3
    """How many neighbours must agree; also the fewest that are run."""
    agree: float = 0.02
    max_ns: int = 5_000_000_000


class Steady(NamedTuple):
    """Iterate until the median of one process is known well enough."""

    min_iterations: int = 30
    min_ns: int = 1_000_000_000
    half_width: float = 0.01
    max_ns: int = 10_000_000_000


class WarmUpResult(NamedTuple):
    """A finished warm-up."""

    times_ns: list[int]
    steady: bool
    """False if the windows never agreed; the data are kept and marked."""


def warm_up(step: Step, clock: Clock, rule: WarmUp) -> WarmUpResult:
    """Run windows until the medians of the last ones agree and are not still falling."""
    times_ns: list[int] = []
    medians: list[float] = []
    start = clock()
    while True:
        window = run_iterations(step, clock, len(times_ns), rule.window_iterations, rule.window_ns)
        times_ns += window
        medians.append(median(window))
        if is_steady(medians[-rule.windows :], rule):
            return WarmUpResult(times_ns, True)
        if clock() - start >= rule.max_ns and len(medians) >= rule.windows:
            return WarmUpResult(times_ns, False)


def is_steady(medians: list[float], rule: WarmUp) -> bool:
    """Return whether the last windows agree within `rule.agree` and do not fall one after the other."""
    if len(medians) < rule.windows:
        return False
    low, high = min(medians), max(medians)
    falling = all(a > b for a, b in zip(medians, medians[1:], strict=False))
    # a fall of less than a tenth of the bound is the clock's grain, not a machine warming up
    return high <= low * (1 + rule.agree) and not (falling and high > low * (1 + rule.agree / 10))


def run_steady(step: Step, clock: Clock, rule: Steady) -> list[int]:
    """Raw nanoseconds of every iteration, until level 1 of the stopping rule is met.

    The median's interval is looked at when a fifth more has been measured, never inside a run of
    iterations.
    """
    times_ns = run_iterations(step, clock, 0, rule.min_iterations, rule.min_ns)
    spent_ns = sum(times_ns)
    while spent_ns < rule.max_ns and not _known(times_ns, rule.half_width):
        more_ns = min(max(spent_ns // 5, 1), rule.max_ns - spent_ns)
        more = run_iterations(step, clock, len(times_ns), 1, more_ns)
        times_ns += more
        spent_ns += sum(more)
    return times_ns


def _known(times_ns: list[int], target: float) -> bool:
    interval = median_interval(times_ns)
    return interval is not None and interval.half_width(median(times_ns)) <= target


def run_iterations(step: Step, clock: Clock, first: int, count: int, span_ns: int) -> list[int]:
    """At least `count` iterations and at least `span_ns`; what lies between two is not timed."""
    times_ns: list[int] = []
    begin = clock()
    while True:
        before = clock()
        step(first)
        after = clock()
        times_ns.append(after - before)
        first += 1
        if after - begin >= span_ns and len(times_ns) >= count:
            return times_ns


class Stretch(NamedTuple):
    """About a second of a sustained run."""

    start_ns: int
    """Since the run began; so is `end_ns`."""
    end_ns: int
    iterations: int
    median_ns: float


def run_sustained(step: Step, clock: Clock, span_ns: int, stretch_ns: int) -> list[Stretch]:
    """Iterate without a pause for `span_ns`; a median a stretch, so that hours fit into memory."""
    begin = clock()
    found: list[Stretch] = []
    done = end = 0
    while end < span_ns:
        start = clock() - begin
        times_ns = run_iterations(step, clock, done, 1, stretch_ns)
        done += len(times_ns)
        end = clock() - begin
        found.append(Stretch(start, end, len(times_ns), median(times_ns)))
    return found


def part_medians_ns(stretches: Sequence[Stretch], part_ns: int) -> list[float]:
    """The median of each part's stretches, in order; a last part that is not full is left out.

    A run shorter than two parts is cut in halves.
    """
    end = stretches[-1].end_ns if stretches else 0
    part_ns = max(1, min(part_ns, end // 2))
    parts: dict[int, list[float]] = {}
    for stretch in stretches:
        parts.setdefault(stretch.start_ns // part_ns, []).append(stretch.median_ns)
    return [median(parts[number]) for number in sorted(parts) if number < end // part_ns]


class PacedRun(NamedTuple):
    """A run of calls made on a timetable."""

    times_ns: list[int]
    """What each call took."""
    response_ns: list[int]
    """From when each was due until it was done."""
    late: int
    """Calls that began more than a tenth of the period after they were due."""


def run_paced(
    step: Step, clock: Clock, sleep: Callable[[float], object], period_ns: int, count: int
) -> PacedRun:
    """One call every `period_ns`, with idle gaps; a call that is late does not move the timetable."""
    times_ns, response_ns, late = [], [], 0
    begin = clock() + period_ns
    for index in range(count):
        due = begin + index * period_ns
        ahead_ns = due - clock()
        if ahead_ns > 0:
            sleep(ahead_ns / 1e9)
        before = clock()
        step(index)
        after = clock()
        times_ns.append(after - before)
        response_ns.append(after - due)
        late += before - due > period_ns // 10
    return PacedRun(times_ns, response_ns, late)
