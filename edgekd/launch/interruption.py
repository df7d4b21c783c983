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


@contextmanager
def accept_interrupts() -> Iterator[None]:
    """Inside, `interrupt_main` raises `RankInterrupt` in the main thread, if that is the one that called this; behind
    it a late one does nothing."""
    if SIGNAL is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(SIGNAL, _raise_interrupt)
    try:
        yield
    finally:
        signal.signal(SIGNAL, signal.SIG_IGN if before is signal.SIG_DFL else before)


def interrupt_main(has_left: threading.Event, line: str, code: int) -> None:
    """Interrupt the main thread; end the process with `line` if it has not left after `GRACE_S`."""
    if SIGNAL is not None and not has_left.is_set():
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, SIGNAL)
    timer = threading.Timer(GRACE_S, _end_process, (has_left, line, code))
    timer.daemon = True
    timer.start()


def _end_process(has_left: threading.Event, line: str, code: int) -> None:
    if has_left.is_set():
        return
    if line:
        sys.stderr.write(f"error: {line}\n")
        sys.stderr.flush()
    os._exit(code)


def _raise_interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise RankInterrupt
