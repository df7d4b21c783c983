"""What ended a run of several ranks, and which rank says so."""

from __future__ import annotations

import signal
from typing import NamedTuple

from edgekd.errors import EdgekdError

INTERRUPTED = (130, 143)
"""Exit codes of what a signal ended."""
LOST = "was lost: it was killed, or its machine is gone"
GO_ON = "run the same command again to go on"


class RankFailure(NamedTuple):
    """How a rank ended before its time."""

    rank: int
    name: str
    """The rank with its machine and process: ``rank 1 (node-2, process 812)``."""
    line: str
    """Its error, one line; empty if it was lost."""
    code: int
    """Its exit code."""

    @property
    def was_interrupted(self) -> bool:
        """Whether a signal ended it; then the others have had one, too."""
        return self.code in INTERRUPTED


class RankFailed(EdgekdError):
    """Another rank ended with an error, or was lost."""

    def __init__(self, failure: RankFailure) -> None:
        message = f"{failure.name}: {failure.line}" if failure.line else f"{failure.name} {LOST}"
        super().__init__(message, hint=GO_ON if failure.was_interrupted or not failure.line else "")
        self.exit_code = failure.code


class ReportedElsewhere(EdgekdError):
    """An error that another rank prints; this process ends without a word."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


def describe_error(error: BaseException) -> tuple[str, int]:
    """One line and the exit code of what a rank raised."""
    if isinstance(error, EdgekdError):
        return error.line(), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "was interrupted", 128 + getattr(error, "signal_number", signal.SIGINT)
    return EdgekdError(f"unexpected {type(error).__name__}: {str(error)[:200]}").line(), 4


def choose_cause(failures: list[RankFailure]) -> RankFailure | None:
    """The failure that made the others: the earliest that no signal made, else the earliest."""
    of_their_own = [each for each in failures if not each.was_interrupted]
    return next(iter(of_their_own or failures), None)
