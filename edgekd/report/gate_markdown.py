"""What gates found as a table for people: the summary of a CI step, the comment on a pull request."""

from __future__ import annotations

from edgekd.report.gate_result import GateDocument
from edgekd.report.gate_result import Outcome
from edgekd.report.gate_result import SideFacts
from edgekd.report.gate_result import format_interval
from edgekd.report.gate_result import format_value
from edgekd.report.gate_result import list_warnings
from edgekd.report.gate_result import verdict_word
from edgekd.report.markdown import escape_text

MARK = "<!-- edgekd-gate -->"
"""Stands first, so that the next run finds its comment and replaces it."""
SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "warning": "⚠️"}
HEADER = ("gate", "got", "allowed", "95 % interval", "verdict", "")
_HARMLESS = str.maketrans({"@": "&#64;", "#": "&#35;"})
LONGEST = 60_000
"""Of 65,536 characters that a comment may have."""


def summary_page(document: GateDocument) -> str:
    """The text of the page."""
    rows = [HEADER, ("---",) * len(HEADER), *(_row(outcome) for outcome in document.outcomes)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    words = {
        "pass": "no gate failed",
        "fail": f"{_count(document, 'fail')} failed",
        "inconclusive": "nothing failed, but not everything could be decided",
    }
    text = (
        f"{MARK}\n### {SIGNS[document.verdict]} edgekd gate: {words[document.verdict]}\n\n"
        f"{table}\n\n{_warnings(document)}"
        f"Run: {_side(document.run)}  \nBaseline: {_side(document.baseline)}  \n"
        f"{_samples(document)}Measured on {escape_cell(document.device)} "
        f"(`{document.fingerprint[:12]}`), both in this job, by edgekd {escape_cell(document.edgekd)}.\n"
    )
    return text if len(text) <= LONGEST else text[:LONGEST] + "\n\n(cut)\n"


def escape_cell(text: str) -> str:
    """Text from anywhere as one harmless piece of a line: no markup, no ``@mention``, no link."""
    return escape_text(text).translate(_HARMLESS).replace("://", ":&#47;&#47;")


def _row(outcome: Outcome) -> tuple[str, ...]:
    verdict = verdict_word(outcome)
    return (
        escape_cell(outcome.gate),
        format_value(outcome.got, outcome.unit),
        format_value(outcome.allowed, outcome.unit),
        format_interval(outcome),
        f"{SIGNS[verdict]} {verdict}",
        escape_cell(outcome.text),
    )


def _side(side: SideFacts) -> str:
    return (
        f"{escape_cell(side.name)} from {escape_cell(side.given)}: {escape_cell(side.runtime)} "
        f"{escape_cell(side.runtime_version or '?')}, {escape_cell(side.precision)}, {side.threads} thread(s), "
        f"{format_value(side.size_bytes, 'bytes')}, model `{side.model_sha256[:12]}`"
    )


def _warnings(document: GateDocument) -> str:
    return "".join(f"Warning: {escape_cell(each)}\n\n" for each in list_warnings(document))


def _samples(document: GateDocument) -> str:
    told = document.samples
    if told is None:
        return ""
    return f"Samples: {told.count} of {escape_cell(told.source)}, `{told.sha256[:12]}`  \n"


def _count(document: GateDocument, verdict: str) -> int:
    return sum(outcome.verdict == verdict for outcome in document.outcomes)
