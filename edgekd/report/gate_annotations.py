"""What gates found as GitHub's workflow commands: ``::error`` and ``::warning`` lines of a log.

Their grammar and escapes are those of actions/toolkit's command.ts: a message may hold anything but
a line's end and the percent sign, a property neither colon nor comma besides.
"""

from __future__ import annotations

from collections.abc import Iterator

from edgekd.printable import escape_unprintable
from edgekd.report.gate_result import GateDocument
from edgekd.report.gate_result import format_value
from edgekd.report.gate_result import verdict_word

LEVELS = {"fail": "error", "inconclusive": "error", "warning": "warning"}
"""By the table's word; what passed is not annotated."""
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def annotation_lines(document: GateDocument) -> Iterator[str]:
    """One line for each gate that did not pass."""
    for outcome in document.outcomes:
        level = LEVELS.get(verdict_word(outcome))
        if level is None:
            continue
        title = _escaped(f"edgekd gate {outcome.gate}: {verdict_word(outcome)}", _PROPERTY)
        got, allowed = (
            format_value(outcome.got, outcome.unit),
            format_value(outcome.allowed, outcome.unit),
        )
        message = _escaped(f"{outcome.text} (got {got}, allowed {allowed})", _DATA)
        yield f"::{level} title={title}::{message}"


def _escaped(text: str, escapes: dict[str, str]) -> str:
    return "".join(escapes.get(sign, sign) for sign in escape_unprintable(text, keep="\r\n"))
