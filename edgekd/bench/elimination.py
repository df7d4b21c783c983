"""Eliminates candidates that cannot be the choice any more: the others need more processes."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd.bench.roles import STUDENT
from edgekd.bench.rows import is_usual
from edgekd.bench.rows import reference_of
from edgekd.bench.session import Measurement
from edgekd.bench.statistics import Interval
from edgekd.bench.statistics import summarize_processes
from edgekd.bench.status import OK
from edgekd.task import Scale


class CandidateFacts(NamedTuple):
    """Score of a candidate and the row it is compared with, known before it is timed."""

    score: float
    """Turned so that higher is better."""
    reference: str = ""
    """Name of the subject that it is compared with, if that is measured too."""


def list_candidates(rows: Sequence[Mapping[str, Any]], scale: Scale) -> dict[str, CandidateFacts]:
    """The students at their usual sizes with their scores, and the row of the reference that each is compared with.

    Args:
        rows: of all subjects.
        scale: of the score.
    """
    sign = 1 if scale.better == "higher" else -1
    found = {}
    for row in rows:
        if row["model"] == STUDENT and row["status"] == OK and is_usual(row):
            reference = reference_of(row, rows)
            name = "" if reference is None else reference["name"]
            found[row["name"]] = CandidateFacts(sign * row["validation_score"], name)
    return found


def remaining_candidates(
    entrants: Mapping[str, CandidateFacts], results: Sequence[Measurement]
) -> set[str]:
    """The names of the candidates that no other beats, and of their references.

    One is beaten if another is at least as good and its whole interval lies below. Where the choice
    hangs on more (memory, size), a beaten one may still be chosen, from fewer processes.

    Args:
        entrants: the candidates by name, those that are timed; a subject that is not among them is only a reference.
        results: of all subjects so far.
    """
    intervals = {found.subject.name: _interval(found) for found in results}
    left = {
        name
        for name, entrant in entrants.items()
        if not any(
            _beats(intervals.get(other), intervals.get(name))
            for other, its in entrants.items()
            if its.score >= entrant.score
        )
    }
    return left | {entrants[name].reference for name in left}


def _interval(found: Measurement) -> Interval | None:
    return summarize_processes(found.medians_ns()).interval if found.processes else None


def _beats(one: Interval | None, other: Interval | None) -> bool:
    return one is not None and other is not None and one.high < other.low
