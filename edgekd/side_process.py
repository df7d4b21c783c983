"""A second process that makes steps of the same plan beside this one; the store is all they share.

It walks the same plan on the same store, under the same locks and keys. What it does not make, for whatever
reason, is made here: it saves time and decides nothing. What it says of its steps is shown when this process comes
to them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import Self
from typing import TypeVar

from edgekd.cores import count_cores
from edgekd.devices.child import kill_group
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.progress import Progress
from edgekd.units import duration_text

MODULE = "edgekd.side_worker"
NVIDIA = Path("/proc/driver/nvidia")
POLL_S = 0.02
FREE_S = 1.0
"""How long a free second process may take to begin a step whose inputs are there."""
LINE_BYTES, READ_BYTES = 2**20, 2**16
"""The longest line that is believed, and how much is read at once."""
T = TypeVar("T")


class SideProcessFailed(Exception):
    """The second process could not make the step that has to be sound before others count."""


def may_start() -> bool:
    """Return whether this machine has a core to spare, and a kernel that ends the second process with this one.

    A GPU is not shared, nor are the ranks of one training joined by others; where faults are injected, one process
    counts its operations.
    """
    if sys.platform != "linux" or count_cores() < 2 or NVIDIA.exists():
        return False
    return int(os.environ.get("WORLD_SIZE", "1")) == 1 and not os.environ.get("EDGEKD_FAULT")


class SideProcess:
    """The second process as the first sees it; not running until `start`."""

    def __init__(
        self,
        order: Mapping[str, Any],
        labels: Sequence[str],
        first: str,
        preferred: Collection[str] = (),
    ) -> None:
        """
        Args:
            order: what `edgekd.side_worker` reads; JSON.
            labels: of the steps that it makes.
            first: of the one without which the others count for nothing.
            preferred: of those that are waited for where it is free: it has imported what they need.
        """
        self._order, self._first = {**order, "labels": list(labels), "first": first}, first
        self._preferred = frozenset(preferred)
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._now = ""
        self._ended: dict[str, float] = {}
        self._shown: set[str] = set()
        self._said: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, once; where that fails, nothing is made beside."""
        if self._process is not None:
            return
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # ^C is this process's: it ends the other
            )
        if self._process is not None:
            assert self._process.stdin is not None and self._process.stdout is not None
            os.set_blocking(self._process.stdout.fileno(), False)
            with contextlib.suppress(BrokenPipeError), self._process.stdin as file:
                file.write(json.dumps({**self._order, "parent_pid": os.getpid()}).encode())

    def close(self) -> None:
        """End it and what it has started; what it keeps of a step that is not finished stays in the store."""
        if self._process is None:
            return
        kill_group(self._process.pid)
        self._process.wait()
        self._listen()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def require_sound(self) -> None:
        """Hear what it says.

        Raises:
            SideProcessFailed: if it ended before the first step was made.
        """
        if self._process is None:
            return
        running = self.is_running
        self._listen()
        if not running and self._first not in self._ended:
            raise SideProcessFailed

    def await_step(self, label: str, find: Callable[[], T | None], progress: Progress) -> T | None:
        """Wait for a step that the second process is at, or will be at next.

        Args:
            label: of the step.
            find: looks for its result.
            progress: is shown how it goes.

        Returns:
            The result; None if it is to be made here.
        """
        self._listen()
        awaited = {label, ""} if label in self._preferred else {label}
        if not self.is_running or self._now not in awaited or label in self._ended:
            return find()
        progress.stage(label)
        free_since = time.monotonic()
        while self.is_running and self._now in awaited and label not in self._ended:
            if self._now:
                free_since = time.monotonic()
            elif time.monotonic() - free_since > FREE_S:
                break  # it does not find what the step needs: made here instead
            self._replay(label, progress)
            time.sleep(POLL_S)
            self._listen()
        self._replay(label, progress)
        if label in self._ended:
            progress.end()
            self._shown.add(label)
        return find()

    def report_step(self, label: str, progress: Progress) -> bool:
        """Show what it said of a step that it has made; return whether it has."""
        self._listen()
        if label not in self._ended:
            return False
        if label not in self._shown:
            self._replay(label, progress, f"{label}: ")
            took = duration_text(self._ended[label])
            progress.note(f"{label}: ended after {took}, beside other steps")
        return True

    def _replay(self, label: str, progress: Progress, prefix: str = "") -> None:
        for said in self._said.pop(label, ()):
            if said["what"] == "note":
                progress.note(prefix + str(said["text"]))
            elif said["what"] == "update" and not prefix:
                progress.update(int(said["done"]), int(said["total"]), str(said["text"]))
            elif said["what"] == "epoch":
                progress.event(EpochEnd("", said["epoch"], said["epochs"], said["values"]))

    def _listen(self) -> None:
        """Take in what it has written since."""
        if self._process is None or self._process.stdout is None or self._process.stdout.closed:
            return
        while data := self._read(self._process.stdout.fileno()):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))

    @staticmethod
    def _read(descriptor: int) -> bytes:
        try:
            return os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return b""

    def _take(self, said: dict[str, Any]) -> None:
        label = str(said["label"])
        if said["what"] == "begin":
            self._now = label
        elif said["what"] == "end":
            self._now, self._ended[label] = "", float(said["took_s"])
        elif said["what"] == "update" and self._said[label][-1:]:
            if self._said[label][-1]["what"] == "update":
                self._said[label].pop()
            self._said[label].append(said)
        else:
            self._said[label].append(said)


class WatchfulProgress:
    """A display that looks after the second process whenever the first reports how it goes."""

    def __init__(self, display: Progress, side: SideProcess) -> None:
        self.stage, self.end, self.note = display.stage, display.end, display.note
        self._display, self._side = display, side

    def update(self, done: int, total: int, text: str) -> None:
        """Raises SideProcessFailed if what was to be sound is not."""
        self._side.require_sound()
        self._display.update(done, total, text)

    def event(self, event: Event) -> None:
        """Pass it on."""
        self._display.event(event)
