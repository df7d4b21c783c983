"""Is the estimator unbiased, and do its intervals hold? On a virtual clock, where the truth is known.

    python benchmarks/bench_trust/estimator.py --runs 2000 --output benchmarks/bench_trust/estimator.json

The harness itself runs: warm-up, both levels of the stopping rule, pairs, intervals. Only the processes are not there:
a call takes as long as a law says, and the clock moves by that.

`absolute`: the median of one model, 6 to 30 processes; `absolute, 30 processes`: the same, never ended early. `ratio`:
B, 3 % slower, beside A on the same machine, 15 pairs. `power`: how often one run ends in ``faster`` or ``slower``, by
the number of pairs, the spread of a pair's log-ratio, the margin, and the true ratio. 5 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import NormalDist
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.bench import session
from edgekd.bench import statistics
from edgekd.bench import timing
from edgekd.bench.engine import Engine
from edgekd.bench.pair import comparison
from edgekd.bench.pair import run

CALL_NS = 10_000_000
SLOWER = 1.03
GOAL = {"bias": 0.005, "covers": (0.94, 0.99)}
Random = np.random.Generator
SNAPSHOT = {"throttles": {}, "temperatures_c": {}, "frequencies_khz": {}}


class Law(NamedTuple):
    """How a machine and a model behave; each has the median 1."""

    calls: Callable[[Random, int], np.ndarray]
    """Times of some calls within one process."""
    processes: Callable[[Random, int], np.ndarray]
    """What a process's luck (its place in memory) makes of it."""
    machine: Callable[[Random, int], np.ndarray]
    """The machine's state while the n-th process runs; both models suffer it."""


def steady(random: Random, count: int) -> np.ndarray:
    return np.ones(count)


def normal(sigma: float) -> Callable[[Random, int], np.ndarray]:
    return lambda random, count: np.maximum(random.normal(1, sigma, count), 0.05)


def lognormal(sigma: float) -> Callable[[Random, int], np.ndarray]:
    return lambda random, count: random.lognormal(0, sigma, count)


def two_modes(random: Random, count: int) -> np.ndarray:
    """Seven of ten calls near 1, the others 30 % slower; scaled to the median 1."""
    drawn = np.where(random.random(count) < 0.7, 1.0, 1.3) * random.normal(1, 0.02, count)
    return drawn / (1 + 0.02 * NormalDist().inv_cdf(0.5 / 0.7))


def autoregressive(rho: float, sigma: float) -> Callable[[Random, int], np.ndarray]:
    """AR(1) of the logarithm, begun in its stationary law."""

    def draw(random: Random, count: int) -> np.ndarray:
        from scipy.signal import lfilter

        noise = random.normal(0, 1, count) * math.sqrt(1 - rho * rho)
        noise[0] /= math.sqrt(1 - rho * rho)
        return np.exp(sigma * lfilter([1.0], [1.0, -rho], noise))

    return draw


def ramp(by: float) -> Callable[[Random, int], np.ndarray]:
    """A machine that gets slower at one pace: by `by` over 30 processes."""
    return lambda random, count: 1 + by * np.arange(count) / 29


def spiky(random: Random, count: int) -> np.ndarray:
    """One call in 20 takes five times as long."""
    drawn = random.normal(1, 0.03, count) * np.where(random.random(count) < 0.05, 5.0, 1.0)
    return drawn / (1 + 0.03 * NormalDist().inv_cdf(0.5 / 0.95))


def unlucky(random: Random, count: int) -> np.ndarray:
    """One process in ten is 30 % slower, one is 30 % faster; the others differ by 2 %."""
    kind = random.random(count)
    return random.lognormal(0, 0.02, count) * np.where(
        kind < 0.1, 1.3, np.where(kind > 0.9, 1 / 1.3, 1)
    )


LAWS = {
    "normal": Law(normal(0.05), lognormal(0.02), steady),
    "lognormal": Law(lognormal(0.3), lognormal(0.03), steady),
    "bimodal": Law(two_modes, lognormal(0.02), steady),
    "autocorrelated calls": Law(autoregressive(0.7, 0.05), lognormal(0.02), steady),
    "autocorrelated machine": Law(normal(0.05), lognormal(0.01), autoregressive(0.7, 0.05)),
    "drifting": Law(normal(0.05), lognormal(0.02), ramp(0.05)),
    "spikes": Law(spiky, unlucky, steady),
}


class Machine:
    """Gives the results of workers, on a clock of its own."""

    def __init__(self, law: Law, random: Random, slower: dict[str, float]) -> None:
        self.law, self.random, self.slower = law, random, slower
        self.states = law.machine(random, 200)
        self.ran = 0
        self.now_ns = 0

    def __call__(self, job: str, spec: dict[str, Any], **rest: Any) -> dict[str, Any]:
        if job == "canary":
            return {"canary_ns": 50_000, "snapshot": SNAPSHOT}
        if job != "latency":
            return {"peak_rss_bytes": None}
        factor = self.slower[spec["runtime"]] * self.states[self.ran]
        level_ns = CALL_NS * factor * self.law.processes(self.random, 1)[0]
        self.ran += 1
        times = self._times(level_ns)

        def step(index: int) -> None:
            self.now_ns += next(times)

        warmed = timing.warm_up(step, lambda: self.now_ns, timing.WarmUp(**spec["warm_up"]))
        iters_ns = timing.run_steady(step, lambda: self.now_ns, timing.Steady(**spec["steady"]))
        return {
            "iters_ns": iters_ns,
            "warmup_iters": len(warmed.times_ns),
            "steady": True,
            "cold_ms": {},
        }

    def _times(self, level_ns: float) -> Iterator[int]:
        while True:
            yield from (level_ns * self.law.calls(self.random, 256)).astype(np.int64).tolist()


def absolute(law: Law, random: Random, least: int = 6) -> tuple[float, bool, int, float]:
    """Error, whether the interval holds the truth, processes, half-width; of one sitting."""
    machine = Machine(law, random, {"A": 1.0})
    subject = session.Subject("A", Engine("A", "fp32", 1, {}))
    steady = timing.Steady(min_ns=300_000_000, max_ns=3_000_000_000)
    rules = session.Rules(processes_min=least, steady=steady, budget_s=1e9)
    (found,) = session.measure_subjects([subject], rules, worker=machine)
    across = statistics.summarize_processes(found.medians_ns())
    assert across.interval is not None
    # of a machine that drifts, the state in the middle of the sitting; else its law's median
    ramps = np.all(np.diff(machine.states) > 0)
    truth = CALL_NS * (float(np.median(machine.states[: machine.ran])) if ramps else 1.0)
    held = across.interval.low <= truth <= across.interval.high
    return across.value / truth - 1, held, machine.ran, across.interval.half_width(across.value)


def ratio(law: Law, random: Random) -> tuple[float, bool, int, float]:
    """The same for the ratio of two."""
    machine = Machine(law, random, {"A": 1.0, "B": SLOWER})
    a, b = (session.Subject(name, Engine(name, "fp32", 1, {})) for name in "AB")
    rules = run.PairRules(steady_ns=250_000_000, budget_s=1e9, seed=int(random.integers(2**31)))
    found = run.run_pairs(a, b, rules, worker=machine).compared
    assert found is not None and found.interval is not None
    held = found.interval.low <= SLOWER <= found.interval.high
    return found.ratio / SLOWER - 1, held, found.pairs, found.interval.half_width(found.ratio)


def absolute_of_thirty(law: Law, random: Random) -> tuple[float, bool, int, float]:
    """As `absolute`, but never ended early."""
    return absolute(law, random, 30)


ESTIMATORS = {"absolute": absolute, "absolute, 30 processes": absolute_of_thirty, "ratio": ratio}


def study(estimator: str, law: str, runs: int, seed: int) -> dict[str, Any]:
    """Bias and coverage over `runs` sittings."""
    began = time.perf_counter()
    stream = np.random.SeedSequence([seed, list(LAWS).index(law), len(estimator)])
    found = [
        ESTIMATORS[estimator](LAWS[law], np.random.default_rng(child))
        for child in stream.spawn(runs)
    ]
    errors, held, counts, widths = (np.array(column, float) for column in zip(*found, strict=True))
    covers = float(held.mean())
    return {
        "estimator": estimator,
        "law": law,
        "runs": runs,
        "bias": float(np.median(errors)),
        "mean_error": float(errors.mean()),
        "covers": covers,
        "covers_error": math.sqrt(covers * (1 - covers) / runs),
        "processes_or_pairs": float(counts.mean()),
        "half_width": float(np.median(widths)),
        "met": bool(
            abs(np.median(errors)) <= GOAL["bias"]
            and GOAL["covers"][0] <= covers <= GOAL["covers"][1]
        ),
        "seconds": time.perf_counter() - began,
    }


def power(runs: int, seed: int) -> list[dict[str, Any]]:
    """Verdicts by the spread of a pair's log-ratio, the margin and the number of pairs."""
    random, rows = np.random.default_rng(seed), []
    for pairs in (15, 30):
        for sigma in (0.01, 0.02, 0.025, 0.03, 0.04):
            for delta in (0.0, 0.01, 0.02):
                share = {
                    effect: float(
                        np.mean([called(random, pairs, sigma, delta, effect) for _ in range(runs)])
                    )
                    for effect in (1.0, 1.03, 1.05)
                }
                rows.append({"pairs": pairs, "sigma": sigma, "delta": delta, "called": share})
    return rows


def called(random: Random, pairs: int, sigma: float, delta: float, effect: float) -> bool:
    """Whether one run ends in ``faster`` or ``slower``."""
    log_ratios = random.normal(math.log(effect), sigma, pairs).tolist()
    for look in comparison.plan_looks(pairs):
        interval = comparison.summarize_pairs(log_ratios[: look.pairs], look.alpha).interval
        if interval is None:
            continue
        limits = statistics.Interval(math.exp(interval.low), math.exp(interval.high))
        if comparison.verdict_of(limits, delta) in ("faster", "slower"):
            return True
        if comparison.verdict_of(limits, delta) == "equivalent":
            return False
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--laws", nargs="+", choices=list(LAWS), default=list(LAWS))
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with ProcessPoolExecutor(given.jobs) as pool:
        waiting = [
            pool.submit(study, estimator, law, given.runs, given.seed)
            for estimator in ESTIMATORS
            for law in given.laws
        ]
        table = pool.submit(power, given.runs, given.seed)
        studies = []
        for future in waiting:
            studies.append(future.result())
            print(json.dumps(studies[-1]), flush=True)
    report = {
        "command": "python " + " ".join(sys.argv),
        "goal": GOAL,
        "studies": studies,
        "power": table.result(),
    }
    if given.output is not None:
        given.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
