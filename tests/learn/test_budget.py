"""The words in which a model's shrinking is asked for."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgekd.learn import budget
from edgekd.learn.budget import StepBudget


def test_one_budget_is_one() -> None:
    asked = StepBudget(macs=0.5)
    asked.require_one()
    assert asked.given_names() == ["macs"]


@pytest.mark.parametrize(
    ("given", "got"), [({}, "none"), ({"speedup": 1.5, "macs": 0.5}, "speedup and macs")]
)
def test_none_or_two_are_refused(given: dict[str, float], got: str) -> None:
    with pytest.raises(ValueError, match=f"^got {got}, want exactly one of speedup, macs"):
        StepBudget(**given).require_one()


@pytest.mark.parametrize(
    "given",
    [{"speedup": 1.0}, {"macs": 1.0}, {"parameters": 0.0}, {"score_drop": -1.0}],
)
def test_what_asks_for_nothing_is_no_budget(given: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        StepBudget(**given)


def test_int8_wants_wider_multiples() -> None:
    assert budget.alignment_multiple(None, quantized=False) == 8
    assert budget.alignment_multiple(None, quantized=True) == 16
    assert budget.alignment_multiple(4, quantized=True) == 4
