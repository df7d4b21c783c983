"""What is said of a measured row: one word, and the reason where its numbers mean less than they show."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import NamedTuple

Word = Literal["ok", "unstable", "invalid", "failed", "refused", "not measured", "not offered"]
OK: Word = "ok"
UNSTABLE: Word = "unstable"
"""Its interval stayed wide, and a decision could turn on that."""
INVALID: Word = "invalid"
"""The machine was not fit to be measured: it was held back, or read from disk in the midst."""
FAILED: Word = "failed"
"""The engine crashed, or its answers are not the model's."""
REFUSED: Word = "refused"
"""Its answers have too little in common with the float student's: it was not timed."""
NOT_MEASURED: Word = "not measured"
NOT_OFFERED: Word = "not offered"
"""The engine has its precision on other machines only."""
TIMED = (OK, UNSTABLE, INVALID)
"""Rows that have times, however good."""


class Status(NamedTuple):
    """A word and its reason, the fields ``status`` and ``reason`` of a row."""

    word: Word = OK
    reason: str = ""
    """Empty of what is ok."""

    def __str__(self) -> str:
        return status_text(self.word, self.reason)


def status_text(word: str, reason: str = "") -> str:
    """``invalid: swapped: 3 pages came back from swap``."""
    return f"{word}: {reason}" if reason else word


def read_status(row: Mapping[str, Any]) -> Status:
    """The status of a row of ``rows.json``, or of ``engine.json``."""
    return Status(row["status"], row["reason"])


def offered_text(runtime: str, offered: Iterable[str]) -> str:
    """Return what an engine offers on this machine, where it was asked for more."""
    return f"{runtime} offers {', '.join(offered)} on this machine"
