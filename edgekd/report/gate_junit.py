"""What gates found as JUnit XML: one test case a gate, in the form that Ant, Jenkins and GitLab read.

A failed gate is a ``failure``; one that counts and could not be decided is an ``error``; one that is
only warned of, or was not asked, is ``skipped``.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree

from edgekd.printable import escape_unprintable
from edgekd.report.gate_result import GateDocument
from edgekd.report.gate_result import Outcome
from edgekd.report.gate_result import format_interval
from edgekd.report.gate_result import format_value
from edgekd.report.gate_result import verdict_word

SUITE = "edgekd.gate"
_SPACES = re.compile(r"\s+")


def junit_xml(document: GateDocument) -> bytes:
    """The text of the file, UTF-8."""
    tags = [_tag(outcome) for outcome in document.outcomes]
    suite = ElementTree.Element(
        "testsuite",
        name=SUITE,
        package=SUITE,
        id="0",
        timestamp=document.ended_utc[:19],
        hostname=_token(document.device),
        tests=str(len(tags)),
        failures=str(tags.count("failure")),
        errors=str(tags.count("error")),
        skipped=str(tags.count("skipped")),
        time=_seconds(sum(outcome.took_s for outcome in document.outcomes)),
    )
    _add_properties(suite, document)
    for outcome, tag in zip(document.outcomes, tags, strict=True):
        _add_case(suite, outcome, tag)
    for name in ("system-out", "system-err"):
        ElementTree.SubElement(suite, name)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    made: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return made + b"\n"


def _add_properties(suite: ElementTree.Element, document: GateDocument) -> None:
    properties = ElementTree.SubElement(suite, "properties")
    told = {
        "edgekd": document.edgekd,
        "verdict": document.verdict,
        "run": document.run.given,
        "run.model": document.run.model_sha256,
        "baseline": document.baseline.given,
        "baseline.model": document.baseline.model_sha256,
        "fingerprint": document.fingerprint,
    }
    for name, value in told.items():
        ElementTree.SubElement(properties, "property", name=name, value=escape_unprintable(value))


def _add_case(suite: ElementTree.Element, outcome: Outcome, tag: str) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=_token(outcome.gate),
        classname=f"{SUITE}.{outcome.kind}",
        time=_seconds(outcome.took_s),
    )
    if not tag:
        return
    got, allowed = (
        format_value(outcome.got, outcome.unit),
        format_value(outcome.allowed, outcome.unit),
    )
    why = ElementTree.SubElement(
        case, tag, message=escape_unprintable(outcome.text), type=verdict_word(outcome)
    )
    why.text = f"got {got}, allowed {allowed}, 95 % interval {format_interval(outcome)}"


def _tag(outcome: Outcome) -> str:
    if outcome.verdict == "pass":
        return ""
    if outcome.verdict == "fail":
        return "failure"
    return "error" if outcome.counts else "skipped"


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _token(text: str) -> str:
    """The same without line breaks or double spaces, never empty: what the schema calls a token."""
    return _SPACES.sub(" ", escape_unprintable(text)).strip() or "unnamed"
