"""The device's end of the link: frames are a line of JSON, and the bytes it announces after it."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

CHUNK_BYTES = 2**18
LINE_BYTES = 2**24
QUIET_S = 20
"""Nothing of what was announced for so long: the link is dead, even if the system does not know yet."""


class ControllerGone(Exception):
    """The controller is no longer there."""


class Pipe:
    """Two descriptors, with what has come in and was not asked for yet."""

    def __init__(self, source: int = 0, goal: int = 1) -> None:
        self._source, self._goal = source, goal
        self._inbox = bytearray()

    def wait(self, timeout_s: float, *others: int) -> set[int]:
        """Return which of the link and `others` has something, or is closed; empty after the timeout."""
        if self._inbox:
            return {self._source}
        return set(select.select([self._source, *others], [], [], timeout_s)[0])

    def frame(self) -> dict[str, Any]:
        """The next line of JSON.

        Raises:
            Gone: at the end, or if it is none.
        """
        while b"\n" not in self._inbox:
            if len(self._inbox) > LINE_BYTES:
                raise ControllerGone
            self._fill()
        line, _, rest = bytes(self._inbox).partition(b"\n")
        self._inbox = bytearray(rest)
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ControllerGone
        return value

    def body(self, size_bytes: int) -> Iterator[bytes]:
        """The next `size_bytes`, in pieces."""
        while size_bytes:
            if not self.wait(QUIET_S):
                raise ControllerGone
            if not self._inbox:
                self._fill()
            piece = bytes(self._inbox[:size_bytes])
            del self._inbox[: len(piece)]
            size_bytes -= len(piece)
            yield piece

    def say(self, frame: Mapping[str, Any]) -> None:
        """One frame out."""
        self.send(json.dumps(frame).encode() + b"\n")

    def send(self, data: bytes) -> None:
        """Bytes that a frame has announced."""
        view = memoryview(data)
        before = signal.alarm(
            3 * QUIET_S
        )  # a write that nobody reads would hold our locks for ever
        try:
            while view:
                view = view[os.write(self._goal, view) :]
        except OSError as error:
            raise ControllerGone from error
        finally:
            signal.alarm(before)

    def _fill(self) -> None:
        try:
            data = os.read(self._source, CHUNK_BYTES)
        except OSError as error:
            raise ControllerGone from error
        if not data:
            raise ControllerGone
        self._inbox += data
