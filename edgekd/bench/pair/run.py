"""Two models against each other: interleaved pairs of fresh processes, ABBA or BAAB by the seed.

Both get the same number of warm-up runs and of timed ones, found once, before the first pair. A
process is short: what is sampled is the process, not the iteration. Memory is taken apart.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from random import Random
from typing import Any
from typing import NamedTuple

from edgekd.bench import statistics
from edgekd.bench.machine.snapshots import SnapshotLog
from edgekd.bench.machine.validity import Validity
from edgekd.bench.pair import comparison
from edgekd.bench.pair.comparison import PairComparison
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.session import Note
from edgekd.bench.session import Rules
from edgekd.bench.session import Subject
from edgekd.bench.session import Worker
from edgekd.bench.session import worker_spec
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.errors import InputError

Process = dict[str, Any]
"""What a latency worker found (`edgekd.bench.jobs.measure_latency`)."""
MOST_NS = 1_000_000_000
"""A process warms up no longer than this, and is timed no longer: a model does not wait for one that
is much faster, and a warm-up that a noisy minute drew out is not repeated in every process."""
FEWEST_WARM_UP = 15
FEWEST_ITERATIONS = 30

METRICS: dict[str, Callable[[Process], float | None]] = {
    "latency_p50": lambda process: statistics.median(process["iters_ns"]),
    "latency_p90": lambda process: statistics.percentile(process["iters_ns"], 90).value,
    "load": lambda process: process["cold_ms"].get("load_ms"),
}
"""What a pair is compared by; None where a process cannot tell. The verdict is on the first."""


class PairRules(NamedTuple):
    """The number of pairs and the time of each process."""

    pairs: int = comparison.PAIRS
    delta: float = comparison.DELTA
    steady_ns: int = 250_000_000
    """Timed part of one process of the faster model."""
    canary_every: int = 5
    """Pairs between two looks at the canary."""
    memory: bool = True
    """Whether peak memory is taken too, in one more process each."""
    budget_s: float = 300.0
    """No pair starts after this."""
    timeout_s: float = 120.0
    """For one process."""
    seed: int = 0
    """Of the order, the inputs and the bootstrap."""


class Counts(NamedTuple):
    """Numbers of iterations that every process of both models runs."""

    warm_up: int
    iterations: int


class ProcessPair(NamedTuple):
    """Two processes that ran one after the other."""

    a: Process
    b: Process
    b_first: bool


@dataclass
class PairedRun:
    """The raw results of all processes of both models, in the order they ran."""

    a: Subject
    b: Subject
    rules: PairRules
    counts: Counts | None = None
    pairs: list[ProcessPair] = field(default_factory=list)
    memory: dict[str, Process] = field(default_factory=dict)
    """Of ``a`` and ``b``."""
    snapshot_log: SnapshotLog = field(default_factory=SnapshotLog)
    compared: PairComparison | None = None
    """None if no pair was finished, or a process failed."""
    failure: str = ""
    """One line, if a process failed; the pairs before it stay."""
    refused: bool = False
    """Whether the failure is the input's fault."""

    @property
    def order(self) -> str:
        """``ABBAAB``: the letters in the order the processes ran."""
        return "".join("BA" if pair.b_first else "AB" for pair in self.pairs)

    def log_ratios(self, metric: str = "latency_p50") -> list[float]:
        """ln(B / A) of each pair that has it, by a name of `METRICS`."""
        both = [(METRICS[metric](pair.a), METRICS[metric](pair.b)) for pair in self.pairs]
        return [math.log(b / a) for a, b in both if a and b]

    def medians_ns(self) -> tuple[list[float], list[float]]:
        """The median of each process of A, and of B."""
        p50 = METRICS["latency_p50"]
        values = [(p50(pair.a) or 0.0, p50(pair.b) or 0.0) for pair in self.pairs]
        return [a for a, _ in values], [b for _, b in values]

    def validity(self) -> Validity:
        """Return whether the machine was fit to be measured."""
        return self.snapshot_log.validity([one for pair in self.pairs for one in (pair.a, pair.b)])


def run_pairs(
    a: Subject,
    b: Subject,
    rules: PairRules,
    *,
    note: Note = lambda text: None,
    worker: Worker = run_worker,
) -> PairedRun:
    """Run pairs until an interim look finds a verdict, or all pairs are done.

    Args:
        a: the one that B is compared with.
        b: the other; may be the same.
        rules: how many pairs, and how long each process.
        note: told before each process.
        worker: runs one, on whatever device.

    Returns:
        All that was measured. A failed process is told, never raised.
    """
    paired = PairedRun(a, b, rules)
    try:
        _run(paired, time.monotonic() + rules.budget_s, note, worker)
    except (WorkerFailed, InputError) as error:
        paired.compared = None
        paired.failure, paired.refused = str(error), isinstance(error, InputError)
    return paired


def _run(paired: PairedRun, deadline: float, note: Note, worker: Worker) -> None:
    rules, looks = paired.rules, comparison.plan_looks(paired.rules.pairs)
    _watch(paired, note, worker)
    paired.counts = _calibrated(paired, note, worker)
    if rules.memory:
        _weigh(paired, note, worker)
    fixed = fix_counts(paired.counts, rules)
    for number, b_first in enumerate(order_of_pairs(rules.pairs, rules.seed)):
        if time.monotonic() >= deadline:
            break
        if number and number % rules.canary_every == 0:
            _watch(paired, note, worker)
        note(f"pair {number + 1} of {rules.pairs}{_so_far(paired)}")
        paired.pairs.append(_pair(paired, fixed, b_first, worker))
        due = next(look for look in looks if look.pairs >= len(paired.pairs))
        if due.pairs == len(paired.pairs) and _judge(paired, due).verdict != "unresolved":
            break
    _watch(paired, note, worker)
    if paired.pairs:  # what a budget cut short is judged as the look that it did not reach
        _judge(paired, next(look for look in looks if look.pairs >= len(paired.pairs)))


def _judge(paired: PairedRun, look: comparison.InterimLook) -> PairComparison:
    rules = paired.rules
    paired.compared = comparison.judge(
        paired.log_ratios(), delta=rules.delta, alpha=look.alpha, seed=rules.seed
    )
    return paired.compared


def _so_far(paired: PairedRun) -> str:
    ratios = paired.log_ratios()
    return f": B/A {math.exp(statistics.median(ratios)):.3f}" if ratios else ""


def order_of_pairs(pairs: int, seed: int) -> tuple[bool, ...]:
    """For each pair whether B runs first: blocks of two pairs, ABBA or BAAB as the seed falls.

    What drifts steadily during a block falls on both models alike.
    """
    random, order = Random(seed), list[bool]()
    while len(order) < pairs:
        b_first = random.random() < 0.5
        order += [b_first, not b_first]
    return tuple(order[:pairs])


def choose_counts(a: Process, b: Process) -> Counts:
    """The larger of both counts, as far as the slower model does it within `MOST_NS`."""
    slower_ns = max(statistics.median(a["iters_ns"]), statistics.median(b["iters_ns"]))
    most = int(MOST_NS / slower_ns)
    warm_up = max(int(process.get("warmup_iters", 0)) for process in (a, b))
    iterations = max(len(a["iters_ns"]), len(b["iters_ns"]))
    return Counts(
        max(FEWEST_WARM_UP, min(warm_up, most)), max(FEWEST_ITERATIONS, min(iterations, most))
    )


def fix_counts(counts: Counts, rules: PairRules) -> Rules:
    """Rules under which a worker does exactly these counts and looks at no time."""
    return Rules(
        warm_up=WarmUp(window_iterations=counts.warm_up, window_ns=0, windows=1),
        steady=Steady(min_iterations=counts.iterations, min_ns=0, max_ns=0),
        timeout_s=rules.timeout_s,
        seed=rules.seed,
    )


def _calibrated(paired: PairedRun, note: Note, worker: Worker) -> Counts:
    rules = paired.rules
    span = Steady(min_ns=rules.steady_ns, max_ns=0)
    warm = WarmUp(max_ns=MOST_NS)
    calibration = Rules(warm_up=warm, steady=span, timeout_s=rules.timeout_s, seed=rules.seed)
    runs = []
    for subject in (paired.a, paired.b):
        note(f"{subject.name}: calibration")
        runs.append(_latency(subject, calibration, worker))
    return choose_counts(*runs)


def _weigh(paired: PairedRun, note: Note, worker: Worker) -> None:
    for letter, subject in (("a", paired.a), ("b", paired.b)):
        note(f"{subject.name}: memory")
        spec, reads = worker_spec(subject, Rules(seed=paired.rules.seed))
        paired.memory[letter] = worker(
            "memory", spec, timeout_s=paired.rules.timeout_s, reads=reads
        )


def _watch(paired: PairedRun, note: Note, worker: Worker) -> None:
    note("canary")
    paired.snapshot_log.take(worker)


def _pair(paired: PairedRun, fixed: Rules, b_first: bool, worker: Worker) -> ProcessPair:
    if b_first:
        b = _latency(paired.b, fixed, worker)
        return ProcessPair(_latency(paired.a, fixed, worker), b, True)
    a = _latency(paired.a, fixed, worker)
    return ProcessPair(a, _latency(paired.b, fixed, worker), False)


def _latency(subject: Subject, rules: Rules, worker: Worker) -> Process:
    spec, reads = worker_spec(subject, rules)
    return worker("latency", spec, timeout_s=rules.timeout_s, reads=reads)
