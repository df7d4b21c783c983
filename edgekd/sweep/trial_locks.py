"""Locks of a sweep's folder: one for whoever asks its study, one for each setting that a process carries out."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager
from pathlib import Path

from edgekd import files
from edgekd.store import locking


class TrialLocks:
    """The kernel drops them when their holder dies, so that a dead process's setting is known."""

    def __init__(self, folder: Path) -> None:
        self._folder = files.make_folder(folder)
        self.owner = f"{platform.node()}:{folder.resolve()}"
        """Says on which machine and in which folder a setting's lock lies."""

    def hold_study(self) -> AbstractContextManager[None]:
        """Ask and change the study alone."""
        return locking.hold_lock(self._folder / "study.lock")

    def hold_trial(self, number: int) -> AbstractContextManager[None]:
        """Carry a setting out."""
        return locking.hold_lock(self._path(number))

    def is_held(self, number: int) -> bool:
        """Return whether a process carries that setting out."""
        with locking.try_exclusive_lock(self._path(number)) as is_free:
            return not is_free

    def _path(self, number: int) -> Path:
        return self._folder / f"trial-{number}.lock"
