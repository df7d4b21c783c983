"""One ssh process, and frames over it: a line of JSON, and the bytes it announces after it."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import time
import weakref
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd.devices.ssh import reply
from edgekd.errors import MachineError
from edgekd.printable import escape_unprintable

CHUNK_BYTES = 2**18
LINE_BYTES = 2**20
STDERR_BYTES = 2**12
INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK", "LANG")
"""All that ssh sees of this process's environment."""
FINAL = (
    "Host key verification failed",
    "HOST IDENTIFICATION HAS CHANGED",
    "Permission denied",
    "Too many authentication failures",
    "Bad configuration option",
    "open user config file",
)
"""What no second attempt changes, in ssh's words."""
SSH_FAILED = 255
"""ssh's own exit code; any other is the remote command's."""
NO_COMMAND = (126, 127)


class LinkLost(Exception):
    """The link is gone; what runs on the device is not."""


class Link:
    """An ssh process that is being spoken with."""

    def __init__(self, argv: Sequence[str], folder: Path, where: str) -> None:
        self.where = where
        """For messages: ``device NAME``."""
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        try:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=kept,
                bufsize=0,
                start_new_session=True,  # ^C is for us: we say what becomes of the job
            )
        except FileNotFoundError as error:
            raise MachineError("ssh: not found", hint="install OpenSSH's client") from error
        self._inbox, self._stderr = bytearray(), bytearray()
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self._selector.register(self._process.stderr.fileno(), selectors.EVENT_READ)
        self.close = weakref.finalize(self, _end, self._process, self._selector)

    def send(self, frame: Mapping[str, Any], body: Iterable[bytes] = ()) -> None:
        """One frame out, and its body; stops early if the device says something meanwhile.

        Raises:
            LinkLost: if the link is gone, or takes nothing for `reply.QUIET_S`.
        """
        self.put(json.dumps(frame).encode() + b"\n")
        for piece in body:
            if not self.put(piece, heed=True):
                return

    def put(self, data: bytes, *, heed: bool = False) -> bool:
        """Bytes out; if we are to `heed` the device, False as soon as it says something."""
        view = memoryview(data)
        deadline = time.monotonic() + reply.QUIET_S
        self._selector.register(self._in, selectors.EVENT_WRITE)
        try:
            while view:
                ready = self._turn(deadline)
                if heed and b"\n" in self._inbox:
                    return False
                if self._in in ready:
                    view = view[self._write(view) :]
                    deadline = time.monotonic() + reply.QUIET_S
        finally:
            self._selector.unregister(self._in)
        return True

    def receive(self, timeout_s: float = reply.QUIET_S) -> dict[str, Any]:
        """The next frame.

        Raises:
            LinkLost: if the link is gone.
            MachineError: if nothing comes in time, or no frame.
        """
        return reply.parse_frame(self.line(timeout_s), self.where)

    def line(self, timeout_s: float) -> bytes:
        """The next line as it is, without its end."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._inbox:
            self._turn(deadline)
        line, _, rest = bytes(self._inbox).partition(b"\n")
        self._inbox = bytearray(rest)
        return line

    def body(self, size_bytes: int) -> Iterator[bytes]:
        """The next `size_bytes`, in pieces."""
        while size_bytes:
            if not self._inbox:
                self._turn(time.monotonic() + reply.QUIET_S)
            piece = bytes(self._inbox[:size_bytes])
            del self._inbox[: len(piece)]
            size_bytes -= len(piece)
            if piece:
                yield piece

    def _write(self, view: memoryview) -> int:
        try:
            return os.write(self._in, view[:CHUNK_BYTES])
        except BlockingIOError:
            return 0
        except OSError:
            raise self._gone() from None

    def _turn(self, deadline: float) -> set[int]:
        """Wait until something can be done; take in what has come."""
        events = self._selector.select(max(0.0, deadline - time.monotonic()))
        if not events:
            raise MachineError(f"{self.where}: does not answer")
        ready = {key.fd for key, _ in events}
        for descriptor in ready - {self._in}:
            data = os.read(descriptor, CHUNK_BYTES)
            if descriptor == self._out:
                if not data:
                    raise self._gone()
                self._inbox += data
                if len(self._inbox) > LINE_BYTES:
                    raise MachineError(f"{self.where}: says more than it was asked")
            elif data:
                self._stderr = (self._stderr + data)[-STDERR_BYTES:]
            else:
                self._selector.unregister(descriptor)
        return ready

    def _gone(self) -> Exception:
        """Why the other end is closed: `LinkLost`, or a MachineError if to try again is of no use."""
        assert self._process.stderr
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
            os.set_blocking(self._process.stderr.fileno(), False)
            with contextlib.suppress(OSError, TypeError):
                self._stderr += self._process.stderr.read()
        lines = self._stderr[-STDERR_BYTES:].decode(errors="replace").strip().splitlines()
        why = escape_unprintable((lines or ["the link was closed"])[-1].strip())[:200]
        code = self._process.returncode
        if code == SSH_FAILED and any(text in line for text in FINAL for line in lines):
            return MachineError(f"{self.where}: {why}", hint=_advice(lines))
        if code is None or code <= 0 or code == SSH_FAILED:
            return LinkLost(why)
        hint = "install Python 3.11 or newer on the device" if code in NO_COMMAND else ""
        return MachineError(f"{self.where}: ended with exit code {code}: {why}", hint=hint)


def _advice(lines: Sequence[str]) -> str:
    text = " ".join(lines)
    if "Host key" in text or "HOST IDENT" in text:
        return "if its key was changed on purpose: edgekd device rm, then device add"
    return ""


def _end(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> None:
    """Leave: the agent on the other side sees its stdin end, and ends."""
    selector.close()
    for file in (process.stdin, process.stdout, process.stderr):
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
