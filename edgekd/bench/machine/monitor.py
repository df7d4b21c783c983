"""Monitors the machine while workers measure models: a canary every few processes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench.machine import canary
from edgekd.bench.machine.snapshots import SnapshotLog
from edgekd.bench.machine.validity import Validity
from edgekd.bench.session import Measurement
from edgekd.bench.session import Worker
from edgekd.bench.statistics import median

EVERY = 6
"""Latency processes between two snapshots."""
REMEMBERS = 0.9
"""Time of a repeated input beside that of distinct ones, below which an answer may be remembered."""
NS_PER_MS = 1e6


class Monitor:
    """Runs workers as `run_worker` does and takes a snapshot of the machine before the first latency
    process, then before every sixth; `take_snapshot` once more at the end."""

    def __init__(self, worker: Worker, every: int = EVERY) -> None:
        self._worker, self._every = worker, every
        self._latency_processes, self._due = 0, 0
        self.snapshot_log = SnapshotLog()

    def __call__(self, job: str, spec: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Run one worker. One that waits for its turn has others beside it: who runs them calls `prepare` before."""
        if job == "latency":
            if more.get("turn") is None:
                self.prepare()
            self._latency_processes += 1
        return self._worker(job, spec, **more)

    def prepare(self) -> None:
        """Take a snapshot before the next latency process, if one is due."""
        if self._latency_processes >= self._due:
            self._due = self._latency_processes + self._every
            self.take_snapshot()

    def take_snapshot(self) -> None:
        """Take one more snapshot of the machine."""
        self.snapshot_log.take(self._worker)

    def validity(self, measured: Measurement) -> Validity:
        """Return whether the machine was fit while this subject was measured."""
        verdict = self.snapshot_log.validity(measured.processes)
        warnings = [*verdict.warnings, *input_warnings(measured.processes)]
        if self.snapshot_log.drifts():
            spread = canary.compute_variation(self.snapshot_log.canaries_ns) or 0.0
            warnings.append(f"drifts: the canary's time varies by {spread:.0%}")
        return verdict._replace(warnings=tuple(warnings))


def describe_fitness(watch: Monitor, each: Iterable[Validity]) -> dict[str, Any]:
    """Return how fit the machine was: the canary's times, and what is odd about it or made rows invalid; of
    warnings that differ in their numbers alone, one."""
    spread, found = canary.compute_variation(watch.snapshot_log.canaries_ns), list(each)
    warnings = {re.sub(r"[0-9.]+", "", text): text for one in found for text in one.warnings}
    return {
        "canary_ms": [ns / NS_PER_MS for ns in watch.snapshot_log.canaries_ns],
        "canary_variation": spread,
        "drifts": watch.snapshot_log.drifts(),
        "reasons": sorted({reason for one in found for reason in one.reasons}),
        "warnings": sorted(warnings.values()),
    }


def input_warnings(processes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Warnings about what the model was fed."""
    warnings = []
    if any(process.get("subnormal") for process in processes):
        warnings.append("inputs: some are subnormal numbers, which slow a processor down")
    ratios = [p["repeated_ns"] / median(p["iters_ns"]) for p in processes if "repeated_ns" in p]
    if ratios and median(ratios) < REMEMBERS:
        less = f"{1 - median(ratios):.0%}"
        warnings.append(f"inputs: a repeated one takes {less} less, its answer may be remembered")
    return warnings
