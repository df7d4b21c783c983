"""The main thread is called away from what it does when another rank ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNAL = getattr(signal, "SIGUSR2", None)
GRACE_S = 10.0
"""How long the main thread may take to leave; what it calls may not hear a signal."""
AGAIN_S = 0.1
"""After which a signal is sent again: one that arrives just before a wait in C begins is not heard there."""


class RankInterrupt(KeyboardInterrupt):
    """Another rank ended; as ^C it is no `Exception`, so nothing on the way takes it for its own failure."""


class Interruption:
    """One interruption of the main thread; no signal is sent but where it is waited for, and it is sent until it is heard."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_due = self._is_accepted = self._is_heard = False

    @contextmanager
    def accept(self) -> Iterator[None]:
        """Inside, `send` raises `RankInterrupt` in the main thread, if that is the one that called this.

        Raises:
            RankInterrupt: on entry, if it was sent before.
        """
        if SIGNAL is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(SIGNAL, self._hear)
        try:
            self._set_accepted(True)
            yield
        finally:
            try:
                self._set_accepted(False)
            finally:
                # one that was sent but has not arrived would end a process that does not ignore it
                signal.signal(SIGNAL, signal.SIG_IGN if before is signal.SIG_DFL else before)

    def send(self, has_left: threading.Event, line: str, code: int) -> None:
        """Interrupt the main thread; end the process with `line` if it has not left after `GRACE_S`."""
        with self._lock:
            self._is_due = True
        given = (has_left, line, code)
        threading.Thread(target=self._insist, args=given, name="interruption", daemon=True).start()

    def _insist(self, has_left: threading.Event, line: str, code: int) -> None:
        end_s = time.monotonic() + GRACE_S
        while not has_left.is_set():
            if time.monotonic() > end_s:
                _end_process(line, code)
            self._signal()
            has_left.wait(AGAIN_S)

    def _signal(self) -> None:
        with self._lock:
            if self._is_accepted and not self._is_heard:
                main = threading.main_thread().ident
                assert main is not None and SIGNAL is not None
                signal.pthread_kill(main, SIGNAL)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if not self._is_heard:  # once: what clears up behind the first is not interrupted
            self._is_heard = True
            raise RankInterrupt

    def _set_accepted(self, value: bool) -> None:
        with self._lock:
            self._is_accepted = value
            if value and self._is_due:
                self._is_heard = True
                raise RankInterrupt


def _end_process(line: str, code: int) -> None:
    if line:
        sys.stderr.write(f"error: {line}\n")
        sys.stderr.flush()
    os._exit(code)
