"""Several engines measured in one session: their fresh processes take turns, so drift is shared."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd.bench.call import CallPlan
from edgekd.bench.engine import Engine
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.side_by_side import map_side_by_side
from edgekd.bench.statistics import is_settled
from edgekd.bench.statistics import median
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.bench.turns import Turns
from edgekd.device import input_path
from edgekd.errors import InputError

ROUNDS_ALONE = 3
"""In which each process starts alone, so that its cold start counts."""
SMALL_BYTES = 64 * 2**20
"""Files of an engine of which two may be in memory."""
INPUTS = "inputs"
"""What a subject's own inputs are called where they are fed."""
Note = Callable[[str], None]
Contenders = Callable[[Sequence["Measurement"]], Collection[str]]
"""Names of the subjects that need more than the fewest processes, asked before each round."""
Worker = Callable[..., dict[str, Any]]
"""`edgekd.bench.process.run_worker`, or a stand-in of the same signature."""


class Subject(NamedTuple):
    """One thing to measure."""

    name: str
    engine: Engine
    inputs: Path | None = None
    """Rows (.npy) of the only input, or .npz or a split by names, to feed; None draws all from the seed."""
    batch: int = 1
    call: CallPlan = CallPlan({})
    """How its inputs are shaped; empty where only the batch is free."""


class Rules(NamedTuple):
    """The rules by which a measurement stops."""

    processes_min: int = 6
    processes_max: int = 30
    half_width: float = 0.02
    """Level 2: half-width of the interval over processes, as a fraction of the median."""
    budget_s: float = 120.0
    """No process starts after this; one that runs is let finish."""
    timeout_s: float = 120.0
    """For one process."""
    warm_up: WarmUp = WarmUp()
    steady: Steady = Steady()
    seed: int = 0


@dataclass
class Measurement:
    """The measurement of one subject: raw results of its processes, in the order they ran."""

    subject: Subject
    processes: list[dict[str, Any]] = field(default_factory=list)
    memory: dict[str, Any] | None = None
    failure: str = ""
    """One line, if a process failed; what was measured before it stays."""
    refused: bool = False
    """Whether the failure is the input's fault."""
    reached: bool = False
    """Whether level 2 of the stopping rule is met."""

    def medians_ns(self) -> list[float]:
        """The median of each process."""
        return [median(process["iters_ns"]) for process in self.processes]


def all_names(results: Sequence[Measurement]) -> Collection[str]:
    """The names of all subjects: each is measured until its interval is narrow."""
    return [result.subject.name for result in results]


def measure_subjects(
    subjects: Iterable[Subject],
    rules: Rules,
    *,
    note: Note = lambda text: None,
    worker: Worker = run_worker,
    contenders: Contenders = all_names,
    width: int = 1,
    prepare: Callable[[], None] = lambda: None,
) -> list[Measurement]:
    """Peak memory in one process each, then rounds of latency processes over all that need more.

    Every other round runs backwards, so that no subject is always the one after another. Never are two timed at once.

    Args:
        subjects: what to measure; may be made while the first are measured already.
        rules: when to stop.
        note: told before each process.
        worker: runs one.
        contenders: who needs more than the fewest processes.
        width: how many processes there may be at once: those that measure memory, for a peak is a process's own; and
            of small engines those that start, behind the rounds in which each starts alone. Then one is timed while
            the others sleep, and their cold starts do not count.
        prepare: called before workers start that will wait for their turns.

    Returns:
        One result a subject, in the order given. A failed process is told, never raised.
    """
    deadline = time.monotonic() + rules.budget_s

    def weigh(subject: Subject) -> Measurement:
        note(f"{subject.name}: memory")
        result = Measurement(subject)
        result.memory = _attempt("memory", result, rules, worker)
        return result

    results = list(map_side_by_side(weigh, subjects, width))
    if width > 1 and not all(_is_small(result.subject) for result in results):
        width = 1
    for turn in range(rules.processes_max):
        wanted = all_names(results) if turn < rules.processes_min else contenders(results)
        ordered = results if turn % 2 == 0 else results[::-1]
        due = [each for each in ordered if each.subject.name in wanted and _wants_more(each, rules)]
        at_once = width if turn >= ROUNDS_ALONE else 1
        for start in range(0, len(due), at_once):
            if time.monotonic() >= deadline:
                break
            some = due[start : start + at_once]
            for result in some:
                note(f"{result.subject.name}: process {turn + 1}")
            if len(some) == 1:
                _add(some[0], _attempt("latency", some[0], rules, worker), rules)
            else:
                prepare()
                _add_together(some, rules, worker)
    return results


def _is_small(subject: Subject) -> bool:
    return sum(path.stat().st_size for path in subject.engine.files.values()) <= SMALL_BYTES


def _wants_more(result: Measurement, rules: Rules) -> bool:
    if result.failure or result.reached:
        return False
    return len(result.processes) < rules.processes_max


def _add_together(results: Sequence[Measurement], rules: Rules, worker: Worker) -> None:
    """One process each; they start at the same time and are timed one behind the other."""
    turns = Turns(len(results))

    def attempt(number: int) -> dict[str, Any] | None:
        waiting = functools.partial(worker, turn=functools.partial(turns.take, number))
        try:
            return _attempt("latency", results[number], rules, waiting)
        finally:
            turns.leave(number)

    found = map_side_by_side(attempt, range(len(results)), len(results))
    for result, process in zip(results, found, strict=True):
        # none of its own: it had others beside it
        _add(result, None if process is None else {**process, "cold_ms": {}}, rules)


def _add(result: Measurement, found: dict[str, Any] | None, rules: Rules) -> None:
    if found is None:
        return
    result.processes.append(found)
    if len(result.processes) >= rules.processes_min:
        result.reached = is_settled(result.medians_ns(), rules.half_width)


def _attempt(job: str, result: Measurement, rules: Rules, worker: Worker) -> dict[str, Any] | None:
    if result.failure:
        return None
    spec, reads = worker_spec(result.subject, rules)
    try:
        return worker(job, spec, timeout_s=rules.timeout_s, reads=reads)
    except (WorkerFailed, InputError) as error:
        result.failure, result.refused = str(error), isinstance(error, InputError)
        return None


def worker_spec(subject: Subject, rules: Rules) -> tuple[dict[str, Any], dict[str, Path]]:
    """The specification of a worker that measures `subject`, and the files it reads."""
    reads = dict(subject.engine.files)
    if subject.inputs is not None:
        reads[INPUTS] = subject.inputs
    spec = {
        **subject.engine.spec(),
        "inputs": None if subject.inputs is None else input_path(INPUTS),
        "batch": subject.batch,
        "call": subject.call.spec(),
        **({"decoding": dict(subject.call.decoding)} if subject.call.decoding else {}),
        "seed": rules.seed,
        "warm_up": rules.warm_up._asdict(),
        "steady": rules.steady._asdict(),
    }
    return spec, reads
