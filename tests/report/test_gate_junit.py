from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from edgekd.report import gate_junit
from tests import gate_example

HOSTILE = "\x00\x1b[31m ]]> <b>&\"'\n --\ud800 \uffff é \U0001f600"
DOCUMENT = gate_example.document(
    gate_example.outcome(),
    gate_example.outcome(
        "latency", verdict="fail", kind="statistical", unit="ratio", took_s=61.2345
    ),
    gate_example.outcome("memory", verdict="inconclusive", kind="statistical"),
    gate_example.outcome("score", verdict="inconclusive", counts=False, kind="statistical"),
)


def parsed(**other: object) -> ElementTree.Element:
    return ElementTree.fromstring(gate_junit.junit_xml(DOCUMENT.model_copy(update=other)))


def test_one_case_a_gate_with_the_right_tag() -> None:
    suite = parsed().find("testsuite")
    assert suite is not None
    counted = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counted == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    tags = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert tags == {
        "size": [],
        "latency": ["failure"],
        "memory": ["error"],
        "score": ["skipped"],
    }
    case = suite.find("testcase[@name='latency']")
    assert case is not None and case.get("time") == "61.234"


def test_it_keeps_to_the_schema_of_ants_junit_reports() -> None:
    """The rules of JUnit.xsd that tools enforce: names, order, attributes and their types."""
    root = parsed()
    assert root.tag == "testsuites" and not root.attrib
    (suite,) = root
    required = [
        "name",
        "package",
        "id",
        "timestamp",
        "hostname",
        "tests",
        "failures",
        "errors",
        "time",
    ]
    assert set(required) <= set(suite.attrib) <= {*required, "skipped"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
    order = [child.tag for child in suite]
    assert order == ["properties", *["testcase"] * 4, "system-out", "system-err"]
    for each in suite.iter("property"):
        assert set(each.attrib) == {"name", "value"}
    for case in suite.iter("testcase"):
        assert set(case.attrib) == {"name", "classname", "time"} and len(case) <= 1
        assert re.fullmatch(r"\d+\.\d{3}", case.get("time", ""))
        assert all(set(child.attrib) == {"message", "type"} for child in case)
    for element in (suite, *suite.iter("testcase")):
        token = element.get("name", "")
        assert token and token == " ".join(token.split())


@pytest.mark.parametrize("text", [HOSTILE, "", " \n "])
def test_hostile_names_stay_text(text: str) -> None:
    outcome = gate_example.outcome(text, verdict="fail", text=text)
    root = parsed(outcomes=(outcome,), device=text)
    case = root.find(".//testcase")
    assert case is not None and [child.tag for child in case] == ["failure"] and case.get("name")
    if text == HOSTILE:
        message = case[0].get("message", "")
        assert "<b>&\"'" in message and "é \U0001f600" in message and "\\x1b[31m" in message
