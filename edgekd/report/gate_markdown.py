"""What gates found as a table for people: the summary of a CI step, the comment on a pull request."""

from __future__ import annotations

from edgekd.report.gate_result import Document
from edgekd.report.gate_result import Outcome
from edgekd.report.gate_result import SideFacts
from edgekd.report.gate_result import shown
from edgekd.report.gate_result import shown_interval
from edgekd.report.gate_result import word
from edgekd.report.markdown import plain

MARK = "<!-- edgekd-gate -->"
"""Stands first, so that the next run finds its comment and replaces it."""
SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "warning": "⚠️"}
HEADER = ("gate", "got", "allowed", "95 % interval", "verdict", "")
_HARMLESS = str.maketrans({"@": "&#64;", "#": "&#35;"})
LONGEST = 60_000
"""Of 65,536 characters that a comment may have."""


def summary(document: Document) -> str:
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
        f"{table}\n\n"
        f"Run: {_side(document.run)}  \nBaseline: {_side(document.baseline)}  \n"
        f"{_samples(document)}Measured on {cell(document.device)} "
        f"(`{document.fingerprint[:12]}`), both in this job, by edgekd {cell(document.edgekd)}.\n"
    )
    return text if len(text) <= LONGEST else text[:LONGEST] + "\n\n(cut)\n"


def cell(text: str) -> str:
    """Text from anywhere as one harmless piece of a line: no markup, no ``@mention``, no link."""
    return plain(text).translate(_HARMLESS).replace("://", ":&#47;&#47;")


def _row(outcome: Outcome) -> tuple[str, ...]:
    verdict = word(outcome)
    return (
        cell(outcome.gate),
        shown(outcome.got, outcome.unit),
        shown(outcome.allowed, outcome.unit),
        shown_interval(outcome),
        f"{SIGNS[verdict]} {verdict}",
        cell(outcome.text),
    )


def _side(side: SideFacts) -> str:
    return (
        f"{cell(side.name)} from {cell(side.given)}: {cell(side.runtime)} "
        f"{cell(side.runtime_version or '?')}, {cell(side.precision)}, {side.threads} thread(s), "
        f"{shown(side.size_bytes, 'bytes')}, model `{side.model_sha256[:12]}`"
    )


def _samples(document: Document) -> str:
    told = document.samples
    if told is None:
        return ""
    return f"Samples: {told.count} of {cell(told.source)}, `{told.images_sha256[:12]}`  \n"


def _count(document: Document, verdict: str) -> int:
    return sum(outcome.verdict == verdict for outcome in document.outcomes)
