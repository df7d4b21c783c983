"""The main thread is called away from what it does when another rank ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNAL = getattr(signal, "SIGUSR2", None)
GRACE_S = 10.0
"""How long the main thread may take to leave; what it calls may not hear a signal."""


class RankInterrupt(KeyboardInterrupt):
    """Another rank ended; as ^C it is no `Exception`, so nothing on the way takes it for its own failure."""


class Interruption:
    """One interruption of the main thread; no signal is sent but where it is waited for, and none is lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_due = self._is_accepted = False

    @contextmanager
    def accept(self) -> Iterator[None]:
        """Inside, `send` raises `RankInterrupt` in the main thread, if that is the one that called this.

        Raises:
            RankInterrupt: on entry, if it was sent before.
        """
        if SIGNAL is None or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(SIGNAL, _raise_interrupt)
        try:
            self._set_accepted(True)
            yield
        finally:
            self._set_accepted(False)
            # one that was sent but has not arrived would end a process that does not ignore it
            signal.signal(SIGNAL, signal.SIG_IGN if before is signal.SIG_DFL else before)

    def send(self, has_left: threading.Event, line: str, code: int) -> None:
        """Interrupt the main thread; end the process with `line` if it has not left after `GRACE_S`."""
        with self._lock:
            self._is_due = True
            if self._is_accepted:
                main = threading.main_thread().ident
                assert main is not None and SIGNAL is not None
                signal.pthread_kill(main, SIGNAL)
        timer = threading.Timer(GRACE_S, _end_process, (has_left, line, code))
        timer.daemon = True
        timer.start()

    def _set_accepted(self, value: bool) -> None:
        with self._lock:
            self._is_accepted = value
            if value and self._is_due:
                raise RankInterrupt


def _end_process(has_left: threading.Event, line: str, code: int) -> None:
    if has_left.is_set():
        return
    if line:
        sys.stderr.write(f"error: {line}\n")
        sys.stderr.flush()
    os._exit(code)


def _raise_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise RankInterrupt
