"""What the status of a measured row says: ``ok``, or why its numbers mean less than they show."""

from __future__ import annotations

import re
from collections.abc import Iterable

OK = "ok"
UNSTABLE = "unstable"
"""Its interval stayed wide, and a decision could turn on that."""
INVALID = "invalid"
"""The machine was not fit to be measured: it was held back, or read from disk in the midst."""
NOT_OFFERED = re.compile(r"not measured: \S+ offers .* on this machine")
TIMED = (OK, UNSTABLE, INVALID)


def not_offered(runtime: str, offered: Iterable[str]) -> str:
    """Why a precision is not measured that an engine has on other machines only."""
    return f"{runtime} offers {', '.join(offered)} on this machine"


def is_not_offered(status: str) -> bool:
    """Whether a row was not measured because of `not_offered`."""
    return NOT_OFFERED.fullmatch(status) is not None


def word_of(status: str) -> str:
    """``invalid`` of ``invalid: swapped: 3 pages came back from swap``."""
    return status.partition(":")[0]


def is_timed(status: str) -> bool:
    """Whether a row has times, however good: it did not fail, and was not left out."""
    return word_of(status) in TIMED
