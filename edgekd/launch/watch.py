"""A thread that listens to other ranks while the main thread works."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd.errors import EdgekdError
from edgekd.errors import MachineError
from edgekd.launch.failure import RankFailure
from edgekd.launch.failure import choose_cause
from edgekd.launch.interruption import Interruption
from edgekd.launch.messages import MessageSocket
from edgekd.launch.messages import PeerLost

CAUSE_S, SIGNAL_CAUSE_S = 3.0, 1.0
"""How long the word of another rank may take that explains an error of this one, or a signal to it."""


class Peer(NamedTuple):
    """Another rank."""

    rank: int
    name: str
    """With its machine and process."""
    connection: MessageSocket


class Watch:
    """Collects what other ranks send and how they end."""

    def __init__(
        self,
        peers: Sequence[Peer],
        receive: Callable[[Peer, dict[str, Any]], None],
        on_failure: Callable[[RankFailure], str],
    ) -> None:
        """
        Args:
            peers: who is listened to.
            receive: called with each message, in the watching thread.
            on_failure: called with the first failure; gives what this rank prints if its main thread does not leave.
        """
        self.peers, self._receive, self._on_failure = peers, receive, on_failure
        self._failures: list[RankFailure] = []
        self._failed, self.has_left = threading.Event(), threading.Event()
        self.interruption, self._is_over = Interruption(), False
        threading.Thread(target=self._listen, name="ranks", daemon=True).start()

    def end(self) -> None:
        """From now on it is no failure that a rank ends."""
        self._is_over = True

    def leave(self) -> None:
        """The main thread has ended its work: nothing more is sent."""
        self._is_over = True
        self.has_left.set()
        for peer in self.peers:
            peer.connection.finish()

    def fail(self, failure: RankFailure) -> None:
        """Note a failure; the first one interrupts the main thread."""
        is_first = not self._failures
        self._failures.append(failure)
        self._failed.set()
        if is_first:
            line = self._on_failure(failure)
            self.interruption.send(self.has_left, line, failure.code)

    def find_cause(self, error: BaseException) -> RankFailure | None:
        """The failure of another rank that made `error` here; None if it is of this rank's own making.

        What a library raises when its partner is gone, and a signal, may come before the word of who failed; and an
        interruption may leave as what a library makes of it.
        """
        if isinstance(error, EdgekdError):
            return None
        self._failed.wait(SIGNAL_CAUSE_S if isinstance(error, KeyboardInterrupt) else CAUSE_S)
        return choose_cause(self._failures)

    def wait_for_failure(self, timeout_s: float) -> None:
        """Wait until another rank has failed, but no longer than that."""
        self._failed.wait(timeout_s)

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for peer in self.peers:
                selector.register(peer.connection, selectors.EVENT_READ, peer)
            while selector.get_map():
                for key, _ in selector.select():
                    try:
                        self._take(key.data)
                    except PeerLost:
                        selector.unregister(key.fileobj)
                        self._lose(key.data)
                    except Exception as error:  # a message of another form; without this thread nobody would hear more
                        selector.unregister(key.fileobj)
                        self._lose(key.data, f"got a message of no known form: {error!r}"[:200])

    def _lose(self, peer: Peer, line: str = "") -> None:
        peer.connection.close()
        has_said_why = any(each.rank == peer.rank for each in self._failures)
        if not (self._is_over or has_said_why):
            self.fail(RankFailure(peer.rank, peer.name, line, MachineError.exit_code))

    def _take(self, peer: Peer) -> None:
        message = peer.connection.receive()
        while message is not None:
            self._receive(peer, message)
            more = peer.connection.has_message()
            message = peer.connection.receive() if more else None
