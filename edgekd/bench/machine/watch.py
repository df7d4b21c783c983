"""A worker that keeps an eye on the machine while others measure: a canary every few processes."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench.machine import canary
from edgekd.bench.machine.looks import Looks
from edgekd.bench.machine.validity import Validity
from edgekd.bench.session import Measured
from edgekd.bench.session import Worker
from edgekd.bench.statistics import median

EVERY = 6
"""Latency processes between two looks."""
REMEMBERS = 0.9
"""Time of a repeated input beside that of distinct ones, below which an answer may be remembered."""


class Watch:
    """Stands in for `run_worker` and looks at the machine before the first latency process, then
    before every sixth; `look` once more at the end."""

    def __init__(self, worker: Worker, every: int = EVERY) -> None:
        self._worker, self._every = worker, every
        self._seen = 0
        self.looks = Looks()

    def __call__(self, job: str, spec: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        """Run one worker."""
        if job == "latency":
            if self._seen % self._every == 0:
                self.look()
            self._seen += 1
        return self._worker(job, spec, **more)

    def look(self) -> None:
        """One more look at the machine."""
        self.looks.look(self._worker)

    def validity(self, measured: Measured) -> Validity:
        """Whether the machine was fit while this subject was measured."""
        found = self.looks.validity(measured.processes)
        warnings = [*found.warnings, *about_inputs(measured.processes)]
        if self.looks.drifts():
            spread = canary.variation(self.looks.canaries_ns) or 0.0
            warnings.append(f"drifts: the canary's time varies by {spread:.0%}")
        return found._replace(warnings=tuple(warnings))


def about_inputs(processes: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is odd about what the model was fed."""
    found = []
    if any(process.get("subnormal") for process in processes):
        found.append("inputs: some are subnormal numbers, which slow a processor down")
    ratios = [p["repeated_ns"] / median(p["iters_ns"]) for p in processes if "repeated_ns" in p]
    if ratios and median(ratios) < REMEMBERS:
        less = f"{1 - median(ratios):.0%}"
        found.append(f"inputs: a repeated one takes {less} less, its answer may be remembered")
    return found
