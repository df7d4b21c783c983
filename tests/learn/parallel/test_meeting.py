"""Ranks find one another through the launcher's board and the store they share."""

from __future__ import annotations

import itertools
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from torch import distributed

from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.launch.environment import Launch
from edgekd.launch.failure import ReportedElsewhere
from edgekd.launch.watch import Peer
from edgekd.learn.parallel import meeting
from edgekd.learn.parallel import ranks


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> distributed.Store:
    made = distributed.HashStore()
    monkeypatch.setattr(ranks, "open_board", lambda: made)
    monkeypatch.setattr(ranks, "_boards", [])
    monkeypatch.setattr(meeting, "AGAIN_S", 0.02)
    monkeypatch.setattr(meeting, "_numbers", itertools.repeat(0))
    monkeypatch.setattr(meeting, "SEEN_AFTER_S", 0.1)
    monkeypatch.setattr(meeting, "REFUSAL_S", 0.1)
    for name in ("ours", "theirs"):
        (tmp_path / name / "locks").mkdir(parents=True)
    return made


class First(threading.Thread):
    """Rank 0 of two or more, which waits for the others in a thread."""

    def __init__(self, store: Path, ranks: int = 2) -> None:
        super().__init__()
        self.store, self.ranks = store, ranks
        self.peers: list[Peer] = []
        self.error: EdgekdError | None = None
        self.start()

    def run(self) -> None:
        """Meet them."""
        try:
            self.peers = meeting.meet_others(Launch(0, self.ranks, 0, self.ranks), self.store)
        except EdgekdError as error:
            self.error = error


def close(*peers: Peer) -> None:
    for peer in peers:
        peer.connection.close()


def test_ranks_meet_in_one_store_and_leave_nothing_there(
    board: distributed.Store, tmp_path: Path
) -> None:
    killed, other = (tmp_path / "ours" / "locks" / f"meeting-{name}" for name in ("old", "new"))
    for path, age_s in ((killed, 90_000), (other, 60)):
        path.write_text("")
        os.utime(path, (time.time() - age_s,) * 2)
    first = First(tmp_path / "ours", 3)
    others = [meeting.find_first(Launch(rank, 3, rank, 3), tmp_path / "ours") for rank in (2, 1)]
    first.join(10)
    assert [peer.rank for peer in first.peers] == [1, 2]
    assert first.peers[1].name.startswith(f"rank 2 ({socket.gethostname()}, process ")
    assert others[0].connection.send({"failed": "x", "code": 2})
    assert first.peers[1].connection.receive(5) == {"failed": "x", "code": 2}
    assert list((tmp_path / "ours" / "locks").iterdir()) == [other]
    close(*first.peers, *others)


def test_what_was_said_before_a_restart_is_passed_over(
    board: distributed.Store, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    board.set("edgekd/0", json.dumps(["127.0.0.1", port, "meeting-old", "/old"]))
    board.set("meeting-old/refusal", "old")
    first: list[First] = []
    timer = threading.Timer(0.2, lambda: first.append(First(tmp_path / "ours")))
    timer.start()
    other = meeting.find_first(Launch(1, 2, 1, 2), tmp_path / "ours")
    timer.join()
    first[0].join(10)
    assert [peer.rank for peer in first[0].peers] == [1] and first[0].error is None
    close(*first[0].peers, other)


def test_a_rank_with_another_store_is_refused_and_both_say_why(
    board: distributed.Store, tmp_path: Path
) -> None:
    first = First(tmp_path / "ours")
    with pytest.raises(InputError, match=r"theirs on .* does not show what rank 0 wrote"):
        meeting.find_first(Launch(1, 2, 1, 2), tmp_path / "theirs")
    first.join(10)
    assert isinstance(first.error, ReportedElsewhere) and first.error.exit_code == 2


def test_a_rank_of_another_version_is_refused(
    board: distributed.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter([{"edgekd": "9"}, {"edgekd": "0"}])
    monkeypatch.setattr(meeting, "_list_versions", lambda: next(versions))
    first = First(tmp_path / "ours")
    close(meeting.find_first(Launch(1, 2, 1, 2), tmp_path / "ours"))
    first.join(10)
    assert isinstance(first.error, MachineError) and "got edgekd 9, want 0" in str(first.error)


@pytest.mark.parametrize("said", [b"", b"x" * 9000, b'{"token": "guessed", "rank": 1}\n', b"[]\n"])
def test_a_stranger_at_the_door_is_no_rank(
    board: distributed.Store, tmp_path: Path, said: bytes
) -> None:
    first = First(tmp_path / "ours")
    board.wait(["edgekd/0"])
    place: dict[str, Any] = dict(
        zip(meeting.Place._fields, json.loads(board.get("edgekd/0")), strict=True)
    )
    with socket.create_connection((place["host"], place["port"])) as stranger:
        stranger.sendall(said)
    other = meeting.find_first(Launch(1, 2, 1, 2), tmp_path / "ours")
    first.join(10)
    assert [peer.rank for peer in first.peers] == [1]
    close(*first.peers, other)


def test_a_rank_that_does_not_come_is_named(
    board: distributed.Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meeting, "MEETING_S", 0.1)
    with pytest.raises(MachineError, match=r"ranks \[1\]: did not come"):
        meeting.meet_others(Launch(0, 2, 0, 2), tmp_path / "ours")
    with pytest.raises(
        MachineError, match=r"rank 0 could not be reached from rank 1 .* it said nothing"
    ):
        board.delete_key("edgekd/0")
        meeting.find_first(Launch(1, 2, 1, 2), tmp_path / "ours")


def test_a_board_that_died_with_the_first_rank_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dead:
        def check(self, keys: list[str]) -> bool:
            raise distributed.DistNetworkError("Connection reset by peer")

    monkeypatch.setattr(ranks, "open_board", Dead)
    with pytest.raises(
        MachineError, match="^rank 0 was lost: it was killed, or its machine"
    ) as caught:
        meeting.find_first(Launch(1, 2, 1, 2), tmp_path)
    assert caught.value.hint == "run the same command again to go on"
