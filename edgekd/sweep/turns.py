"""Lets the processes of a sweep take turns on one machine: who measures times has it alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from edgekd.progress import Event
from edgekd.progress import RunEnd
from edgekd.progress import StepEnd
from edgekd.progress import StepStart
from edgekd.stages import measure
from edgekd.stages import tune
from edgekd.store import locking

TIMING = (measure.STAGE.name, tune.STAGE.name)
"""Stages whose results are times."""


class MachineTurns:
    """Holds the machine during each step: with other processes, or alone where times are measured."""

    def __init__(self, folder: Path, note: Callable[[str], None]) -> None:
        """
        Args:
            folder: of the lock files.
            note: is told once a step that it waits.
        """
        self._folder, self._note, self._held = folder, note, ExitStack()

    def follow(self, event: Event) -> None:
        """A callback of a run's events."""
        if isinstance(event, StepStart):
            self._take(is_shared=event.stage not in TIMING)
        elif isinstance(event, StepEnd | RunEnd):
            self.release()

    def release(self) -> None:
        """Give the machine back, if it is held."""
        self._held.close()

    def _take(self, *, is_shared: bool) -> None:
        self.release()

        def waiting(holder: str) -> None:
            self._note(f"waiting for the machine, on which another student is measured ({holder})")

        # who waits for the machine stands in the door: nobody who comes later goes before
        with locking.hold_lock(self._folder / "door.lock", waiting=waiting if is_shared else None):
            lock = locking.hold_lock(self._folder / "machine.lock", shared=is_shared)
            self._held.enter_context(lock)
