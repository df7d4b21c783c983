"""Workers that get ready at once and are timed one behind the other: while one is timed the others sleep."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Turns:
    """The turns of some workers, each waited for by a thread of its own; they come in their order."""

    def __init__(self, count: int) -> None:
        self._all_ready = threading.Barrier(count)
        self._ended = [threading.Event() for _ in range(count)]

    @contextlib.contextmanager
    def take(self, number: int) -> Iterator[None]:
        """Wait until all others are ready or gone, and those before have ended; then it is this one's turn."""
        with contextlib.suppress(threading.BrokenBarrierError):
            self._all_ready.wait()
        for before in self._ended[:number]:
            before.wait()
        try:
            yield
        finally:
            self._ended[number].set()

    def leave(self, number: int) -> None:
        """A worker has ended, whether it took its turn or not: nobody waits for it."""
        self._all_ready.abort()
        self._ended[number].set()
