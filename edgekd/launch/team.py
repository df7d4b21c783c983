"""The ranks of one run: the first does the work and asks the others to take part in some of it."""

from __future__ import annotations

import queue
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NoReturn
from typing import Protocol

from edgekd.launch.failure import INTERRUPTED
from edgekd.launch.failure import RankFailed
from edgekd.launch.failure import RankFailure
from edgekd.launch.failure import ReportedElsewhere
from edgekd.launch.failure import describe_error
from edgekd.launch.interruption import RankInterrupt
from edgekd.launch.watch import Peer
from edgekd.launch.watch import Watch

ACKNOWLEDGED_S = 10.0
"""How long a rank that failed waits for the first to take its error over."""
Order = dict[str, Any]
"""What a rank is asked to do, plain JSON."""


class Team(Protocol):
    """What the first rank does to the others."""

    def share(self, order: Order) -> None:
        """Ask all other ranks to do this while the caller does the same."""


class FirstRank:
    """Rank 0; it alone plans, stores, measures and speaks."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        self._peers = peers
        self._watch = Watch(peers, self._receive, self._stop_others)

    def share(self, order: Order) -> None:
        """Ask all other ranks to do this while the caller does the same."""
        self._send({"order": order})

    def run(self, work: Callable[[], Any]) -> Any:
        """Do `work`; the others learn what came of it, plain JSON, or how it failed.

        Raises:
            RankFailed: if another rank failed or was lost.
            BaseException: as `work` does.
        """
        try:
            with self._watch.interruption.accept():
                made = work()
            self._watch.end()
            self._send({"made": made})
            return made
        except BaseException as error:
            cause = self._watch.find_cause(error)
            by_signal = isinstance(error, KeyboardInterrupt) and (
                not isinstance(error, RankInterrupt)
            )
            if cause is None or (cause.was_interrupted and by_signal):
                line, code = describe_error(error)
                self._send({"stop": line, "code": code})
                raise
            raise RankFailed(cause) from error
        finally:
            self._watch.leave()

    def _send(self, message: dict[str, Any]) -> None:
        for peer in self._peers:
            peer.connection.send(message)

    def _receive(self, peer: Peer, message: dict[str, Any]) -> None:
        line, code = message.get("failed"), message.get("code")
        if isinstance(line, str) and type(code) is int:
            self._watch.fail(RankFailure(peer.rank, peer.name, line, code))

    def _stop_others(self, failure: RankFailure) -> str:
        self._send({"stop": failure.line, "code": failure.code})
        return RankFailed(failure).line()


class OtherRank:
    """A rank that does what the first asks, and waits without work in between."""

    def __init__(self, first: Peer, speaks: bool) -> None:
        """
        Args:
            first: rank 0.
            speaks: whether this one prints that rank 0 was lost.
        """
        self._first, self._speaks = first, speaks
        self._orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stopped = False
        self._watch = Watch([first], self._receive, self._describe)

    def follow(self, carry_out: Callable[[Order], None]) -> Any:
        """Carry out what the first rank asks, until it is done.

        Returns:
            What the first rank's work came to.

        Raises:
            ReportedElsewhere: if it ended with an error, here or elsewhere, that another rank prints.
            RankFailed: if the first rank was lost.
        """
        try:
            with self._watch.interruption.accept():
                while True:
                    message = self._orders.get()
                    if "made" in message:
                        return message["made"]
                    carry_out(message["order"])
        except BaseException as error:
            self._fail(error)
        finally:
            self._watch.leave()

    def _fail(self, error: BaseException) -> NoReturn:
        line, code = describe_error(error)
        failed = {"failed": line, "code": code}
        is_told = code in INTERRUPTED and not isinstance(error, RankInterrupt)
        if is_told:  # at once: rank 0 may have had the signal, too
            self._first.connection.send(failed)
        cause = self._watch.find_cause(error)
        if cause is not None and (self._stopped or not self._speaks):
            raise ReportedElsewhere(cause.line or "rank 0 was lost", cause.code) from None
        if cause is not None:
            raise RankFailed(cause) from error
        if is_told or self._first.connection.send(failed):
            self._watch.wait_for_failure(ACKNOWLEDGED_S)
        if self._stopped:
            raise ReportedElsewhere(line, code) from error
        raise error

    def _receive(self, first: Peer, message: dict[str, Any]) -> None:
        if "stop" in message:
            failure = RankFailure(0, first.name, str(message["stop"]), int(message["code"]))
            self._stopped = True
            self._watch.fail(failure)
        else:
            if "made" in message:
                self._watch.end()
            self._orders.put(message)

    def _describe(self, failure: RankFailure) -> str:
        return "" if self._stopped or not self._speaks else RankFailed(failure).line()
