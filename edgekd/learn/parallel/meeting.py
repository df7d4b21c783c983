"""The ranks of a launch find one another, and see that they share one store and one version."""

from __future__ import annotations

import hmac
import itertools
import json
import os
import platform
import secrets
import socket
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from typing import NamedTuple

import torch
from torch import distributed

from edgekd import __version__
from edgekd import files
from edgekd import strict_json
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.launch.environment import Launch
from edgekd.launch.failure import ReportedElsewhere
from edgekd.launch.messages import MOST_BYTES
from edgekd.launch.messages import MessageSocket
from edgekd.launch.messages import PeerLost
from edgekd.launch.watch import Peer

MEETING_S = 600
"""How long ranks wait for one another at the start."""
GREETING_BYTES = 2**12
GREETING_S = 5.0
REFUSAL_S = 1.5
"""How long rank 0 has to hear of a refusal before the launcher stops it."""
SEEN_AFTER_S = 10.0
"""How long a file may take from one machine of a shared folder to another."""
_numbers = itertools.count()


class Place(NamedTuple):
    """Where the first rank waits for the others."""

    host: str
    port: int
    token_file: str
    """In the store; only who sees that can answer."""
    store: str


def meet_others(launch: Launch, store: Path) -> list[Peer]:
    """On the first rank: wait for all others; gives them in the order of their ranks.

    Raises:
        MachineError: if one does not come, or runs another version.
        InputError: if one sees another store.
    """
    board = _open_board()
    number = next(_numbers)
    token = secrets.token_hex(32)
    path = store / "locks" / f"meeting-{secrets.token_hex(8)}"
    with socket.create_server(("127.0.0.1" if launch.is_on_one_machine else "", 0)) as server:
        files.write_bytes(path, token.encode())
        try:
            port = server.getsockname()[1]
            place = Place(_find_own_address(launch), port, path.name, str(store))
            board.set(f"edgekd/{number}", json.dumps(place))
            return _accept_all(server, token, launch, board)
        finally:
            files.remove(path)


def find_first(launch: Launch, store: Path) -> Peer:
    """On another rank: find the first.

    Raises:
        MachineError: if it does not come, or cannot be reached.
        InputError: if it has another store.
    """
    board = _open_board()
    key = f"edgekd/{next(_numbers)}"
    try:
        board.wait([key], timedelta(seconds=MEETING_S))
    except distributed.DistError as error:
        raise MachineError(
            f"rank {launch.rank}: rank 0 did not come within {MEETING_S} s"
        ) from error
    place = Place(*strict_json.loads(board.get(key)))
    try:
        token = _read_token(store / "locks" / place.token_file)
    except FileNotFoundError:
        refusal = InputError(
            f"--store: {store} on {socket.gethostname()} does not show what rank 0 wrote in its {place.store}, "
            "want one folder that all machines share",
            hint="give --store a folder on a shared file system",
        )
        board.set("edgekd/refusal", f"{_name_self(launch)}: {refusal.line()}")
        time.sleep(REFUSAL_S)
        raise refusal from None
    try:
        link = socket.create_connection((place.host, place.port), GREETING_S)
    except OSError as error:
        raise MachineError(
            f"{_name_self(launch)}: cannot reach rank 0 at {place.host}:{place.port}: {error}",
            hint="open ports among the machines, or name another MASTER_ADDR",
        ) from error
    connection = MessageSocket(link)
    greeting = {"token": token, "rank": launch.rank, "name": _name_self(launch)}
    connection.send({**greeting, "versions": _list_versions()})
    return Peer(0, f"rank 0 ({place.host})", connection)


def _accept_all(
    server: socket.socket, token: str, launch: Launch, board: distributed.Store
) -> list[Peer]:
    peers: dict[int, Peer] = {}
    until = time.monotonic() + MEETING_S
    server.settimeout(0.5)
    with ExitStack() as opened:
        while len(peers) < launch.size - 1:
            if board.check(["edgekd/refusal"]):
                refusal = board.get("edgekd/refusal").decode(errors="replace")
                raise ReportedElsewhere(refusal, InputError.exit_code)
            if time.monotonic() > until:
                missing = sorted({*range(1, launch.size)} - peers.keys())
                raise MachineError(f"ranks {missing[:8]}: did not come within {MEETING_S} s")
            try:
                link, _ = server.accept()
            except TimeoutError:
                continue
            connection = MessageSocket(link, GREETING_BYTES)
            opened.callback(connection.close)
            peer = _admit(connection, token)
            if peer is None or peer.rank in peers:
                connection.close()
            else:
                peers[peer.rank] = peer
        opened.pop_all()
    return [peers[rank] for rank in sorted(peers)]


def _admit(connection: MessageSocket, token: str) -> Peer | None:
    """The rank at the other end; None if it is somebody else.

    Raises:
        MachineError: if it runs another version.
    """
    greeting = _read_greeting(connection, token)
    if greeting is None:
        return None
    _require_same_versions(greeting)
    connection.most_bytes = MOST_BYTES
    return Peer(greeting["rank"], greeting["name"], connection)


def _read_greeting(connection: MessageSocket, token: str) -> dict[str, Any] | None:
    """What a rank says of itself; None of somebody else's connection."""
    try:
        said = connection.receive(GREETING_S)
    except PeerLost:
        return None
    if said is None or not hmac.compare_digest(str(said.get("token")).encode(), token.encode()):
        return None
    return said


def _require_same_versions(greeting: dict[str, Any]) -> None:
    ours, theirs = _list_versions(), greeting["versions"]
    for name, version in ours.items():
        if theirs.get(name) != version:
            raise MachineError(
                f"{greeting['name']}: got {name} {theirs.get(name)}, want {version} as on rank 0"
            )


def _list_versions() -> dict[str, str]:
    return {"edgekd": __version__, "torch": torch.__version__, "python": platform.python_version()}


def _name_self(launch: Launch) -> str:
    return f"rank {launch.rank} ({socket.gethostname()}, process {os.getpid()})"


def _read_token(path: Path) -> str:
    until = time.monotonic() + SEEN_AFTER_S
    while True:
        try:
            return path.read_text()
        except FileNotFoundError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _find_own_address(launch: Launch) -> str:
    """The address under which the other ranks' machines see this one."""
    if launch.is_on_one_machine:
        return "127.0.0.1"
    meeting_place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    with socket.create_connection(meeting_place, GREETING_S) as link:
        own: str = link.getsockname()[0]
    return meeting_place[0] if own.startswith("127.") or own == "::1" else own


def _open_board() -> distributed.Store:
    """The launcher's store of keys and values, which all ranks see."""
    board, _, _ = next(distributed.rendezvous("env://", timeout=timedelta(seconds=MEETING_S)))
    return board
