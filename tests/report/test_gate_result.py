from __future__ import annotations

import pytest

from edgekd.report import gate_result
from edgekd.report.gate_result import Outcome
from tests import gate_example

PASS, FAIL = gate_example.outcome(), gate_example.outcome(verdict="fail")
OPEN = gate_example.outcome(verdict="inconclusive")
WARNED = gate_example.outcome(verdict="inconclusive", counts=False)


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ((PASS,), "pass"),
        ((PASS, WARNED), "pass"),
        ((PASS, OPEN), "inconclusive"),
        ((OPEN, FAIL, PASS), "fail"),
        ((), "pass"),
    ],
)
def test_a_failure_outweighs_an_open_question(outcomes: tuple[Outcome, ...], verdict: str) -> None:
    assert gate_result.overall_verdict(outcomes) == verdict


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (340_092, "bytes", "340 kB"),
        (-812, "bytes", "-812 B"),
        (78_000, "count", "78 k"),
        (0, "kinds", "0"),
        (0.504, "points", "0.50 points"),
        (1.0321, "ratio", "1.032x"),
        (2.5e-6, "logits", "2.5e-06"),
        (None, "ms", "–"),
    ],
)
def test_numbers_are_shown_with_their_unit(
    value: float | None, unit: gate_result.Unit, text: str
) -> None:
    assert gate_result.format_value(value, unit) == text


def test_a_warning_is_a_word_of_its_own() -> None:
    assert [gate_result.verdict_word(o) for o in (PASS, FAIL, OPEN, WARNED)] == [
        "pass",
        "fail",
        "inconclusive",
        "warning",
    ]
