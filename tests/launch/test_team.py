"""The first rank and the others: who works, who ends with whom, and who says so."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any
from typing import NoReturn

import pytest

from edgekd.errors import InputError
from edgekd.launch import team
from edgekd.launch import watch
from edgekd.launch.failure import RankFailed
from edgekd.launch.failure import ReportedElsewhere
from edgekd.launch.messages import MessageSocket
from edgekd.launch.messages import PeerLost
from edgekd.launch.team import FirstRank
from edgekd.launch.team import OtherRank
from edgekd.launch.watch import Peer

OPEN: list[MessageSocket] = []
"""Ends of sockets, to be closed behind a test."""


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(watch, "CAUSE_S", 1.0)
    monkeypatch.setattr(watch, "SIGNAL_CAUSE_S", 0.2)
    monkeypatch.setattr(team, "ACKNOWLEDGED_S", 1.0)
    yield
    for each in OPEN:
        each.close()
    OPEN.clear()
    for thread in threading.enumerate():
        if thread.name == "ranks":
            thread.join(5)


def pair() -> tuple[MessageSocket, MessageSocket]:
    ours, theirs = socket.socketpair()
    OPEN.append(MessageSocket(theirs))
    return MessageSocket(ours), OPEN[-1]


class First:
    """A first rank with two others, which the test plays."""

    def __init__(self) -> None:
        links = [pair(), pair()]
        self.others = [theirs for _, theirs in links]
        peers = [Peer(n + 1, f"rank {n + 1} (there)", ours) for n, (ours, _) in enumerate(links)]
        self.rank = FirstRank(peers)

    def heard(self) -> list[dict[str, Any] | None]:
        return [other.receive(1) for other in self.others]


class Other:
    """Another rank, whose first the test plays."""

    def __init__(self, speaks: bool = True) -> None:
        ours, self.first = pair()
        self.rank = OtherRank(Peer(0, "rank 0 (there)", ours), speaks)


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def work(*given: object) -> NoReturn:
        raise error

    return work


def wait_for_ever() -> None:
    time.sleep(20)


def wait_until(holds: Callable[[], bool]) -> None:
    give_up_s = time.monotonic() + 10
    while not holds() and time.monotonic() < give_up_s:
        time.sleep(0.01)


def test_others_take_part_and_get_the_result() -> None:
    first = First()

    def work() -> str:
        first.rank.share({"stage": "x"})
        return "made"

    assert first.rank.run(work) == "made"
    assert first.heard() == [{"order": {"stage": "x"}}] * 2
    assert first.heard() == [{"made": "made"}] * 2


def test_an_other_rank_does_what_it_is_asked_in_order() -> None:
    other, done = Other(), []
    for number in range(3):
        other.first.send({"order": {"n": number}})
    other.first.send({"made": [1]})
    other.first.close()  # rank 0 may go at once
    assert other.rank.follow(done.append) == [1]
    assert done == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_the_others_end_with_the_error_of_the_first() -> None:
    first = First()
    with pytest.raises(InputError, match="mine"):
        first.rank.run(raising(InputError("mine", hint="do")))
    assert first.heard() == [{"stop": "mine (do)", "code": 2}] * 2


def test_the_error_of_another_rank_is_that_of_the_run_and_ends_all() -> None:
    first = First()
    first.others[1].send({"failed": "bad data", "code": 2})
    with pytest.raises(RankFailed, match=r"^rank 2 \(there\): bad data$") as caught:
        first.rank.run(wait_for_ever)
    assert caught.value.exit_code == 2
    assert first.heard() == [{"stop": "bad data", "code": 2}] * 2


def test_a_lost_rank_is_named_and_ends_all() -> None:
    first = First()
    first.others[0].close()
    with pytest.raises(RankFailed, match=r"^rank 1 \(there\) was lost") as caught:
        first.rank.run(wait_for_ever)
    assert caught.value.exit_code == 3
    assert first.others[1].receive(1) == {"stop": "", "code": 3}


@pytest.mark.parametrize("message", [{"stop": "x"}, {"stop": "x", "code": []}])
def test_a_message_of_another_form_ends_the_run_and_not_only_the_thread_that_reads_it(
    message: dict[str, Any],
) -> None:
    other = Other()
    other.first.send(message)
    with pytest.raises(
        RankFailed, match=r"^rank 0 \(there\): got a message of no known form"
    ) as caught:
        other.rank.follow(print)
    assert caught.value.exit_code == 3 and "\n" not in caught.value.line()


def test_what_a_library_raises_for_a_lost_partner_is_told_as_that() -> None:
    first = First()

    def work() -> None:
        threading.Timer(0.05, first.others[0].close).start()
        raise RuntimeError("Connection closed by peer")

    with pytest.raises(RankFailed, match="was lost"):
        first.rank.run(work)
    with pytest.raises(RuntimeError, match="of its own"):
        First().rank.run(raising(RuntimeError("of its own")))


def test_an_interruption_that_a_library_turns_into_something_else_is_told_as_what_it_was() -> None:
    other = Other()
    other.first.send({"order": {}})

    def carry_out(order: object) -> None:
        other.first.close()
        try:
            wait_for_ever()
        except KeyboardInterrupt:
            raise OSError("Bad file descriptor") from None

    with pytest.raises(RankFailed, match="rank 0.* was lost"):
        other.rank.follow(carry_out)


def test_a_signal_of_the_launcher_does_not_hide_who_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    first = First()
    monkeypatch.setattr(
        first.rank._watch.interruption, "send", lambda *given: None
    )  # it was sooner
    first.others[0].send({"failed": "was interrupted", "code": 143})
    first.others[1].close()
    wait_until(lambda: len(first.rank._watch._failures) == 2)
    with pytest.raises(RankFailed, match="rank 2 .* was lost"):
        first.rank.run(raising(KeyboardInterrupt()))


def test_an_interruption_of_all_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    first = First()
    monkeypatch.setattr(
        first.rank._watch.interruption, "send", lambda *given: None
    )  # ^C was sooner
    first.others[0].send({"failed": "was interrupted", "code": 130})
    with pytest.raises(KeyboardInterrupt):
        first.rank.run(raising(KeyboardInterrupt()))


def test_another_rank_tells_its_error_and_leaves_it_to_the_first_to_print() -> None:
    other = Other()
    other.first.send({"order": {}})

    def answer() -> None:
        assert other.first.receive(5) == {"failed": "mine", "code": 2}
        other.first.send({"stop": "mine", "code": 2})

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises(ReportedElsewhere) as caught:
        other.rank.follow(raising(InputError("mine")))
    thread.join()
    assert caught.value.exit_code == 2


def test_another_rank_prints_its_error_where_the_first_does_not_answer() -> None:
    other = Other()
    other.first.send({"order": {}})
    with pytest.raises(InputError, match="mine"):
        other.rank.follow(raising(InputError("mine")))


def test_another_rank_ends_silently_when_the_first_says_so() -> None:
    other = Other()
    other.first.send({"order": {}})
    other.first.send({"stop": "bad data", "code": 2})
    with pytest.raises(ReportedElsewhere) as caught:
        other.rank.follow(lambda order: wait_for_ever())
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("speaks", "kind"), [(True, RankFailed), (False, ReportedElsewhere)])
def test_a_lost_first_rank_ends_the_others_of_which_one_says_so(speaks: bool, kind: Any) -> None:
    other = Other(speaks)
    other.first.close()
    with pytest.raises(kind, match="rank 0.* was lost") as caught:
        other.rank.follow(lambda order: None)
    assert caught.value.exit_code == 3


def test_a_signal_that_no_one_hears_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kill, sent = signal.pthread_kill, []

    def lose_first(
        thread: int, number: int
    ) -> None:  # as one that arrives just before a wait in C begins
        sent.append(time.monotonic())
        if len(sent) > 1:
            kill(thread, number)

    def carry_out(order: Any) -> None:
        other.first.send({"stop": "bad data", "code": 2})
        wait_for_ever()

    monkeypatch.setattr(signal, "pthread_kill", lose_first)
    other = Other()
    other.first.send({"order": {}})
    with pytest.raises(ReportedElsewhere):
        other.rank.follow(carry_out)
    assert len(sent) == 2


def test_an_interrupted_rank_says_so_at_once() -> None:
    other = Other()
    other.first.send({"order": {}})
    with pytest.raises(KeyboardInterrupt):
        other.rank.follow(raising(KeyboardInterrupt()))
    assert other.first.receive(1) == {"failed": "was interrupted", "code": 128 + signal.SIGINT}
    with pytest.raises(PeerLost):  # it says nothing more
        other.first.receive(1)


DEAF = """
import signal, socket, sys, time
from edgekd.launch import interruption
from edgekd.launch.messages import MessageSocket
from edgekd.launch.team import FirstRank
from edgekd.launch.watch import Peer
interruption.GRACE_S = 0.3
ours, theirs = socket.socketpair()
def work():
    signal.pthread_sigmask(signal.SIG_BLOCK, [interruption.SIGNAL])  # as a library that does not return
    theirs.close()
    time.sleep(20)
FirstRank([Peer(1, "rank 1 (there)", MessageSocket(ours))]).run(work)
"""


EARLY = """
import socket, time
from edgekd.launch.failure import RankFailed
from edgekd.launch.messages import MessageSocket
from edgekd.launch.team import FirstRank
from edgekd.launch.watch import Peer
ours, theirs = socket.socketpair()
first = FirstRank([Peer(1, "rank 1 (there)", MessageSocket(ours))])
theirs.close()
assert first._watch._failed.wait(10)
time.sleep(0.1)
try:
    first.run(lambda: time.sleep(60))
except RankFailed as failure:
    print(failure, end="")
"""


def test_a_rank_that_was_lost_before_the_work_begins_ends_it() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", EARLY], capture_output=True, text=True, timeout=30, env=os.environ
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("rank 1 (there) was lost")


def test_a_process_that_hears_no_signal_ends_nevertheless() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DEAF], capture_output=True, text=True, timeout=15, env=os.environ
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("error: rank 1 (there) was lost")
