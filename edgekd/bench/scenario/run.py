"""Scenarios beside single-stream latency: their workers, taken in turns as those of latency are."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Literal
from typing import NamedTuple

from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.scenario import throughput
from edgekd.bench.session import Note
from edgekd.bench.session import Rules
from edgekd.bench.session import Subject
from edgekd.bench.session import Worker
from edgekd.bench.session import worker_spec
from edgekd.errors import InputError

Name = Literal["throughput", "cold_start", "paced", "sustained", "energy"]
NS_PER_S = 1_000_000_000
PACED_S, PACED_CALLS = 3.0, 30
"""A paced process lasts at least so long and makes at least so many calls."""
SPAN_NS = NS_PER_S // 2
"""One batch size of a throughput run."""
WINDOW_S, WINDOWS = 10.0, 6
"""Of work, in an energy run; six carry an interval."""
ONE_PROCESS: tuple[Name, ...] = ("sustained", "energy")


class ScenarioSelection(NamedTuple):
    """The scenarios to run and their settings; none of them by default."""

    throughput: bool = False
    bound_ms: float | None = None
    """Longest that a batch of the throughput run may take."""
    cold_start: bool = False
    rate_hz: float | None = None
    """Of the paced run."""
    sustained_s: float | None = None
    energy: bool = False

    def names(self) -> tuple[Name, ...]:
        """The names of the selected scenarios, the longest last."""
        asked: dict[Name, bool] = {
            "cold_start": self.cold_start,
            "paced": self.rate_hz is not None,
            "throughput": self.throughput,
            "sustained": self.sustained_s is not None,
            "energy": self.energy,
        }
        return tuple(name for name, wanted in asked.items() if wanted)

    def settings(self, name: Name) -> dict[str, Any]:
        """The settings of the job `name` beside those of every worker."""
        if name == "throughput":
            return {"sweep": True, "bound_ms": self.bound_ms, "span_ns": SPAN_NS}
        if name == "paced":
            rate_hz = self.rate_hz or 1.0
            count = max(PACED_CALLS, math.ceil(PACED_S * rate_hz))
            return {"period_ns": round(NS_PER_S / rate_hz), "count": count}
        if name == "sustained":
            return {"span_ns": round((self.sustained_s or 0) * NS_PER_S)}
        if name == "energy":
            return {"span_ns": round(WINDOW_S * NS_PER_S), "windows": WINDOWS}
        return {}

    def lasts_s(self, name: Name) -> float:
        """Return how long its worker measures, beyond what every worker takes."""
        if name == "paced":
            settings = self.settings(name)
            return float(settings["count"] * settings["period_ns"] / NS_PER_S)
        if name == "sustained":
            return 2 * (self.sustained_s or 0)
        return 4 * WINDOW_S * (WINDOWS + 2) if name == "energy" else 0.0


@dataclass
class ScenarioRun:
    """The run of one scenario on one subject."""

    name: Name
    processes: list[dict[str, Any]] = field(default_factory=list)
    """Raw results, in the order they ran."""
    swept: dict[str, Any] | None = None
    """The throughput run's sweep; it chose the batch and is not among `processes`."""
    failure: str = ""
    refused: bool = False

    def best(self, bound_ms: float | None) -> throughput.ThroughputPoint | None:
        """The winner of the sweep."""
        points = [
            throughput.ThroughputPoint(*point) for point in (self.swept or {}).get("points", ())
        ]
        return throughput.best_point(points, bound_ms)


def run_scenarios(
    subjects: Sequence[Subject],
    wanted: ScenarioSelection,
    rules: Rules,
    *,
    note: Note = lambda text: None,
    worker: Worker = run_worker,
) -> list[dict[Name, ScenarioRun]]:
    """Run the selected scenarios of each subject, in the order given.

    Each has six processes, or `rules.processes_max` if that is less; a sustained and an energy run
    have one. `rules.budget_s` holds for each scenario. A failed process is recorded, never raised.
    """
    results: list[dict[Name, ScenarioRun]] = [{} for _ in subjects]
    for name in wanted.names():
        deadline = time.monotonic() + rules.budget_s
        pairs = list(zip(subjects, results, strict=True))
        for _, result in pairs:
            result[name] = ScenarioRun(name)
        for turn in range(1 if name in ONE_PROCESS else rules.processes_min):
            for subject, result in pairs if turn % 2 == 0 else pairs[::-1]:
                if turn == 0 or time.monotonic() < deadline:
                    note(f"{subject.name}: {name.replace('_', ' ')}, process {turn + 1}")
                    _add(result[name], subject, wanted, rules, worker)
    return results


def _add(
    ran: ScenarioRun, subject: Subject, wanted: ScenarioSelection, rules: Rules, worker: Worker
) -> None:
    if ran.failure:
        return
    settings = wanted.settings(ran.name)
    timeout_s = rules.timeout_s + wanted.lasts_s(ran.name)
    try:
        if ran.name == "throughput" and ran.swept is None:
            ran.swept = _run_worker(ran.name, subject, settings, rules, timeout_s, worker)
        if ran.name == "throughput":
            best = ran.best(wanted.bound_ms)
            if best is None:
                ran.failure = f"no batch takes less than {wanted.bound_ms:g} ms"
                return
            subject = subject._replace(batch=best.batch)
            settings = {**settings, "sweep": False}
        ran.processes.append(_run_worker(ran.name, subject, settings, rules, timeout_s, worker))
    except (WorkerFailed, InputError) as error:
        ran.failure, ran.refused = str(error), isinstance(error, InputError)


def _run_worker(
    name: Name,
    subject: Subject,
    settings: Mapping[str, Any],
    rules: Rules,
    timeout_s: float,
    worker: Worker,
) -> dict[str, Any]:
    spec, reads = worker_spec(subject, rules)
    return worker(name, {**spec, **settings}, timeout_s=timeout_s, reads=reads)
