"""What the status of a measured row says: ``ok``, or why its numbers mean less than they show."""

from __future__ import annotations

OK = "ok"
UNSTABLE = "unstable"
"""Its interval stayed wide, and a decision could turn on that."""
INVALID = "invalid"
"""The machine was not fit to be measured: it was held back, or read from disk in the midst."""
TIMED = (OK, UNSTABLE, INVALID)


def word_of(status: str) -> str:
    """``invalid`` of ``invalid: swapped: 3 pages came back from swap``."""
    return status.partition(":")[0]


def is_timed(status: str) -> bool:
    """Whether a row has times, however good: it did not fail, and was not left out."""
    return word_of(status) in TIMED
