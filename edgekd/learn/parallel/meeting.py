"""The ranks of a launch find one another, and see that they share one store and one version."""

from __future__ import annotations

import contextlib
import hmac
import itertools
import json
import os
import platform
import secrets
import socket
import time
from contextlib import ExitStack
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
from edgekd.launch.failure import GO_ON
from edgekd.launch.failure import LOST
from edgekd.launch.failure import ReportedElsewhere
from edgekd.launch.messages import MOST_BYTES
from edgekd.launch.messages import MessageSocket
from edgekd.launch.messages import PeerLost
from edgekd.launch.watch import Peer
from edgekd.learn.parallel import ranks

MEETING_S = ranks.MEETING_TIME.total_seconds()
REFUSAL = "refusal"
GREETING_BYTES = 2**12
GREETING_S = 5.0
REFUSAL_S = 1.5
"""How long rank 0 has to hear of a refusal before the launcher stops it."""
SEEN_AFTER_S, AGAIN_S = 10.0, 0.2
"""How long a file may take from one machine of a shared folder to another, and how often it is looked for."""
TOKEN_FILE = "meeting-"
TOKEN_OLD_S = 86_400
"""No meeting takes a day, wherever the clocks of a shared folder stand."""
_numbers = itertools.count()


class Place(NamedTuple):
    """Where the first rank waits for the others."""

    host: str
    port: int
    name: str
    """Of the file in the store that holds the token: only who sees that can answer."""
    store: str


def meet_others(launch: Launch, store: Path) -> list[Peer]:
    """On the first rank: wait for all others; gives them in the order of their ranks.

    Raises:
        MachineError: if one does not come, or runs another version.
        ReportedElsewhere: if one sees another store, and says so.
    """
    board = ranks.open_board()
    token = secrets.token_hex(32)
    path = store / "locks" / f"{TOKEN_FILE}{secrets.token_hex(8)}"
    _remove_old_tokens(path.parent)
    with socket.create_server(("127.0.0.1" if launch.is_on_one_machine else "", 0)) as server:
        files.write_bytes(path, token.encode())
        try:
            port = server.getsockname()[1]
            place = Place(_find_own_address(launch), port, path.name, str(store))
            board.set(_next_key(), json.dumps(place))
            own_board = distributed.PrefixStore(place.name, board)
            ranks.use_board(own_board)
            return _accept_all(server, token, launch, own_board)
        finally:
            files.remove(path)


def find_first(launch: Launch, store: Path) -> Peer:
    """On another rank: find the first.

    Raises:
        MachineError: if it does not come, or cannot be reached.
        InputError: if it has another store.
    """
    try:
        board = ranks.open_board()
        place, link = _reach_first(launch, board, _next_key())
    except distributed.DistError as error:  # the launcher's board died with rank 0
        raise MachineError(f"rank 0 {LOST}", hint=GO_ON) from error
    own_board = distributed.PrefixStore(place.name, board)
    ranks.use_board(own_board)
    try:
        token = _read_token(store / "locks" / place.name)
    except FileNotFoundError:
        link.close()
        refusal = InputError(
            f"--store: {store} on {socket.gethostname()} does not show what rank 0 wrote in its {place.store}, "
            "want one folder that all machines share",
            hint="give --store a folder on a shared file system",
        )
        own_board.set(REFUSAL, f"{_name_self(launch)}: {refusal.line()}")
        time.sleep(REFUSAL_S)
        raise refusal from None
    connection = MessageSocket(link)
    greeting = {"token": token, "rank": launch.rank, "name": _name_self(launch)}
    connection.send({**greeting, "versions": _list_versions()})
    return Peer(0, f"rank 0 ({place.host})", connection)


def _remove_old_tokens(folder: Path) -> None:
    """Remove the tokens of meetings that a kill ended; those of today's others stay."""
    for path in folder.glob(f"{TOKEN_FILE}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.lstat().st_mtime > TOKEN_OLD_S:
                files.remove(path)


def _next_key() -> str:
    """Where the first rank says where it is; the runs of one process have a key each."""
    return f"edgekd/{next(_numbers)}"


def _reach_first(launch: Launch, board: distributed.Store, key: str) -> tuple[Place, socket.socket]:
    """Wait until the first rank is where the board says; that may be where it was before a restart."""
    until = time.monotonic() + MEETING_S
    obstacle = "it said nothing"
    while time.monotonic() < until:
        if board.check([key]):
            place = Place(*strict_json.loads(board.get(key)))
            try:
                return place, socket.create_connection((place.host, place.port), GREETING_S)
            except OSError as error:
                obstacle = f"at {place.host}:{place.port}: {error}"
        time.sleep(AGAIN_S)
    raise MachineError(
        f"rank 0 could not be reached from {_name_self(launch)} within {MEETING_S:g} s: {obstacle}",
        hint="open ports among the machines, or name another MASTER_ADDR",
    )


def _accept_all(
    server: socket.socket, token: str, launch: Launch, board: distributed.Store
) -> list[Peer]:
    peers: dict[int, Peer] = {}
    until = time.monotonic() + MEETING_S
    server.settimeout(0.5)
    with ExitStack() as opened:
        while len(peers) < launch.size - 1:
            if board.check([REFUSAL]):
                refusal = board.get(REFUSAL).decode(errors="replace")
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
            time.sleep(AGAIN_S)


def _find_own_address(launch: Launch) -> str:
    """The address under which the other ranks' machines see this one."""
    if launch.is_on_one_machine:
        return "127.0.0.1"
    meeting_place = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
    with socket.create_connection(meeting_place, GREETING_S) as link:
        own: str = link.getsockname()[0]
    return meeting_place[0] if own.startswith("127.") or own == "::1" else own
