"""Messages between two ranks: JSON objects, a line each, over a socket that says at once when a process dies."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import threading
from typing import Any

from edgekd import strict_json

LOST_AFTER_S = 20
"""How long a machine may be silent to the kernel's own questions before its ranks count as lost."""
MOST_BYTES = 2**26
"""Of one message."""
_PIECE_BYTES = 2**16
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class PeerLost(Exception):
    """The other side is gone, or what it sent is no message."""


class MessageSocket:
    """One end of a socket; several threads may send, one receives."""

    def __init__(self, link: socket.socket, most_bytes: int = MOST_BYTES) -> None:
        self._link, self.most_bytes = link, most_bytes
        self._rest = b""
        self._sending = threading.Lock()
        link.setblocking(True)
        _watch_peer(link)

    def fileno(self) -> int:
        """For a selector."""
        return self._link.fileno()

    def send(self, message: dict[str, Any]) -> bool:
        """Send a message; return whether the other side was there to take it."""
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._sending:
                self._link.sendall(data)
        except OSError:
            return False
        return True

    def receive(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """Wait for the next message; None if none came in time.

        Raises:
            PeerLost: if none will come.
        """
        while b"\n" not in self._rest:
            if not self._wait(timeout_s):
                return None
            self._rest += self._read_piece()
            if len(self._rest) > self.most_bytes and b"\n" not in self._rest:
                raise PeerLost("too long a message")
        line, _, self._rest = self._rest.partition(b"\n")
        try:
            value = strict_json.loads(line)
        except ValueError as error:
            raise PeerLost(str(error)) from error
        if not isinstance(value, dict):
            raise PeerLost("no object")
        return value

    def has_message(self) -> bool:
        """Return whether a whole message was read already."""
        return b"\n" in self._rest

    def _wait(self, timeout_s: float | None) -> bool:
        # select() refuses a process with many open files
        with selectors.DefaultSelector() as selector:
            selector.register(self._link, selectors.EVENT_READ)
            return bool(selector.select(timeout_s))

    def _read_piece(self) -> bytes:
        try:
            piece = self._link.recv(_PIECE_BYTES)
        except OSError as error:
            raise PeerLost(str(error)) from error
        if not piece:
            raise PeerLost("closed")
        return piece

    def finish(self) -> None:
        """Send no more; the other side reads what was sent, and then the end."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End it."""
        self._link.close()


def _watch_peer(link: socket.socket) -> None:
    """Let the kernel ask a silent machine whether it is there; a busy process need not answer itself."""
    if link.family not in (socket.AF_INET, socket.AF_INET6):
        return
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST_AFTER_S * 1000)
