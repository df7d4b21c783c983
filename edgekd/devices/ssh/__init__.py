"""A device behind OpenSSH: orders run there, over links that may be cut at any byte.

One link serves many orders. When it is cut, the worker on the device goes on under its keeper; a new link
asks for the same job again and gets its result, or waits for it. A result counts only if every byte of it
has the digest announced for it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import TypeVar

from edgekd import files
from edgekd.device import Device
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.devices.ssh import payload
from edgekd.devices.ssh import reply
from edgekd.devices.ssh import request
from edgekd.devices.ssh.address import Address
from edgekd.devices.ssh.address import ssh_command
from edgekd.devices.ssh.agent import HELLO
from edgekd.devices.ssh.link import Link
from edgekd.devices.ssh.link import LinkLost
from edgekd.errors import MachineError
from edgekd.printable import escape_unprintable

T = TypeVar("T")

RECONNECT_S = 120.0
"""A device that was reached once and is not for so long is given up."""
LEASE_WAIT_S = 60.0
"""How long to wait for another who uses the device."""
GRACE_S = 60.0
"""Beyond a worker's own limit, for its keeper to take up what it left."""
CONNECT_S = 30.0
NOISE_LINES = 200
"""What a login shell may print before the agent's first line."""
STARTS = 4
"""So often may a device say that it starts the worker, which it does anew only after a reboot."""
CUTS = 50
"""So often may a link be cut under one order."""


class RemoteDevice:
    """One device, and the link to it while there is one."""

    def __init__(self, name: str, address: Address, folder: Path) -> None:
        self.name, self.address, self.folder = name, address, folder
        self.where = f"device {name}"
        self._link: Link | None = None
        self._reached = False
        self._digests = request.DigestCache()
        self._turn = threading.RLock()

    def run(self, order: WorkerJob) -> WorkerExit:
        """Run one worker to its end, over as many links as that takes.

        Raises:
            MachineError: if the device is not reached, is used by another, refuses, or breaks the protocol.
        """
        holder = request.holder_name()
        code = payload.build_payload().sha256
        sent = request.make_request(order, self._digests.of, code=code, holder=holder)
        with self._turn:
            try:
                return self._patiently(lambda link: _carry_out(link, sent, order))
            except KeyboardInterrupt:
                self._abandon(sent.identity)
                raise

    def probe(self, packages: list[str]) -> dict[str, Any]:
        """Return what the device has, as it tells; the shape is the caller's to check.

        Raises:
            MachineError: if it is not reached.
        """

        def ask_for_facts(link: Link) -> dict[str, Any]:
            link.send({"do": "probe", "packages": packages})
            value = link.receive(2 * reply.QUIET_S)
            _refused(value, link.where)
            return value

        with self._turn:
            return self._patiently(ask_for_facts)

    def close(self) -> None:
        """Leave the link; the next order makes a new one."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _patiently(self, work: Callable[[Link], T]) -> T:
        """Do `work` over a link, and again over a new one whenever it is cut."""
        since = time.monotonic()
        for cuts in range(CUTS):
            try:
                if self._link is None:
                    self._link = self._connect()
                    since = time.monotonic()
                return work(self._link)
            except LinkLost as cut:
                self.close()
                if not self._reached:
                    raise MachineError(f"{self.where}: is not reached: {cut}") from cut
                if time.monotonic() - since > RECONNECT_S:
                    raise MachineError(
                        f"{self.where}: was lost and not reached again for {RECONNECT_S:g} s: {cut}",
                        hint="run the same command again: what is finished there is kept",
                    ) from cut
                time.sleep(min(5.0, 0.1 * 2**cuts) if cuts else 0.0)
            except BaseException:
                self.close()
                raise
        raise MachineError(f"{self.where}: the link was cut {CUTS} times")

    def _connect(self, **changed: str) -> Link:
        """A link with the agent at work on its other end."""
        link = Link(ssh_command(self.address, self.name, **changed), self.folder, self.where)
        code = payload.build_payload()
        greeting = {"payload": code.sha256, "size_bytes": len(code.data)}
        source = payload.agent_source()
        try:
            link.put(b"%d\n" % len(source) + source + json.dumps(greeting).encode() + b"\n")
            hello = _hello(link)
            _refused(hello, self.where)
            if hello.get("held") is not True:
                link.put(code.data, heed=True)
                _refused(link.receive(), self.where)
        except BaseException:
            link.close()
            raise
        self._reached = True
        return link

    def _abandon(self, identity: str) -> None:
        """Tell the device to end a job nobody wants; it ends at its limit in any case."""
        with contextlib.suppress(LinkLost, MachineError, KeyboardInterrupt):
            self.close()
            link = self._connect(ConnectTimeout="3")
            link.send({"do": "abandon", "id": identity})
            link.receive(CONNECT_S)
            link.close()


@functools.cache
def make_device(name: str, address: Address, folder: Path) -> Device:
    """The device `name`, whose host key stands in ``known_hosts`` in `folder`.

    One a process: two links of ours would wait for each other.
    """
    return Device(name, RemoteDevice(name, address, folder).run)


def _hello(link: Link) -> dict[str, Any]:
    """The agent's first words, after whatever a login shell has to say."""
    mark = HELLO.encode()
    for _ in range(NOISE_LINES):
        line = link.line(CONNECT_S)
        if line.startswith(mark):
            return reply.parse_frame(line[len(mark) :], link.where)
    raise reply.protocol_error(link.where, "many lines", "the agent's first words")


def _refused(value: dict[str, Any], where: str) -> None:
    message = value.get("message") if value.get("say") == "refused" else value.get("refused")
    if message is not None:
        raise MachineError(f"{where}: {escape_unprintable(str(message))[:300]}")


def _carry_out(link: Link, sent: request.Request, order: WorkerJob) -> WorkerExit:
    """One order over one link.

    Raises:
        LinkLost: if the connection ends; what was done is not lost.
        MachineError: if the device refuses, is not free, or does not keep to the protocol.
    """
    link.send({**sent.frame, "wait_s": LEASE_WAIT_S})
    limit_s = order.timeout_s + GRACE_S
    deadline = time.monotonic() + LEASE_WAIT_S + limit_s
    owed, starts = set(sent.blobs), STARTS
    while True:
        value = link.receive(max(0.0, deadline - time.monotonic()))
        _refused(value, link.where)
        word = value.get("say")
        if word == "ended":
            return _take(link, sent, order, value)
        if word == "busy":
            holder = escape_unprintable(str(value.get("holder")))[:100]
            raise MachineError(
                f"{link.where}: is used by {holder}", hint="run the same command again later"
            )
        if word == "need" and (wanted := str(value.get("sha256"))) in owed:
            owed.remove(wanted)
            _push(link, *sent.blobs[wanted])
            deadline = time.monotonic() + limit_s
        elif word == "started" and starts:
            starts -= 1
            deadline = time.monotonic() + limit_s
        elif word != "waiting":
            raise reply.protocol_error(link.where, value, "a word of the protocol")


def _push(link: Link, path: Path, size_bytes: int) -> None:
    for piece in request.read_chunks(path, size_bytes):
        if not link.put(piece, heed=True):
            return


def _take(link: Link, sent: request.Request, order: WorkerJob, value: dict[str, Any]) -> WorkerExit:
    """Fetch what the device announces; nothing of it counts until all of it is there and whole."""
    result = reply.parse_result(value, link.where, takes=order.goal is not None)
    stdout = b"".join(_checked(link, "stdout", result.stdout))
    stderr = b"".join(_checked(link, "stderr", result.stderr))
    for name, piece in result.files.items():
        assert order.goal is not None
        _fetch(link, name, piece, order.goal / name)
    with contextlib.suppress(LinkLost):
        link.send({"do": "done", "id": sent.identity})
    replacements = {
        result.drawn[name]: text for name, text in sent.drawn.items() if name in result.drawn
    }
    return WorkerExit(
        result.returncode,
        reply.escape_stdout(stdout, replacements),
        reply.escape_stderr(stderr),
        result.timed_out,
        result.overflowed,
    )


def _checked(link: Link, what: str, piece: reply.AnnouncedFile) -> Iterator[bytes]:
    """The announced bytes.

    Raises:
        MachineError: after the last, if their digest is another.
    """
    digest = hashlib.sha256()
    for data in link.body(piece.size_bytes):
        digest.update(data)
        yield data
    if digest.hexdigest() != piece.sha256:
        raise MachineError(
            f"{link.where}: {what}: got bytes of digest {digest.hexdigest()[:12]}, "
            f"want {piece.sha256[:12]}"
        )


def _fetch(link: Link, name: str, piece: reply.AnnouncedFile, goal: Path) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("r+b") as file:
            for data in _checked(link, name, piece):
                file.write(data)

    files.write_through(goal, write, size_bytes=piece.size_bytes)
