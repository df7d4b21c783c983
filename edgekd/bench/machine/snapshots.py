"""Snapshots of a machine while models are measured on it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from edgekd.bench import soundness
from edgekd.bench.machine import canary
from edgekd.bench.machine import validity
from edgekd.bench.machine.validity import Validity
from edgekd.bench.process import WorkerFailed

TIMEOUT_S = 60.0


@dataclass
class SnapshotLog:
    """The canary's times and the machine's snapshots, in order."""

    canaries_ns: list[float] = field(default_factory=list)
    snapshots: list[dict[str, Any]] = field(default_factory=list)

    def take(self, worker: Callable[..., Mapping[str, Any]]) -> None:
        """Take one more snapshot in a fresh worker; if that fails or is unsound, none is added."""
        try:
            answer = worker("canary", {}, timeout_s=TIMEOUT_S, reads={})
        except WorkerFailed:
            return
        time_ns, snapshot = answer.get("canary_ns"), answer.get("snapshot")
        if soundness.is_number(time_ns, 1):
            self.canaries_ns.append(float(time_ns or 0))
        if isinstance(snapshot, dict) and validity.is_well_formed(snapshot):
            self.snapshots.append(snapshot)

    def drifts(self) -> bool:
        """Return whether the machine drifted, so that ratios count and milliseconds do not."""
        return canary.is_drifting(self.canaries_ns)

    def validity(self, processes: Sequence[Mapping[str, Any]]) -> Validity:
        """Return whether the machine was fit while `processes` measured."""
        if len(self.snapshots) < 2:
            return Validity(True, (), ("the machine gave no account of itself",))
        first, *between, last = self.snapshots
        return validity.judge(first, last, processes, between=between)
