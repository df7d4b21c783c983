"""Losses on numbers: values by hand, zero at the optimum, no gradient to the teacher, shapes held."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from edgekd.learn.losses import values
from edgekd.learn.losses.values.distillation import bounded_regression
from edgekd.learn.losses.values.distillation import value_mse
from edgekd.learn.losses.values.targets import mean_squared_error
from edgekd.learn.losses.values.targets import smooth_l1
from edgekd.table import find_signature

STUDENT = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
TEACHER = torch.tensor([[0.0, 2.0], [0.0, 3.0]])
TARGETS = torch.tensor([[0.5, 2.0], [0.0, 1.0]])

ON_NUMBERS = [
    name for name, each in values.LOSSES.items() if not each.module.endswith(("vectors", "ranking"))
]
"""Those on vectors have tests of their own."""


def test_squared_errors_by_hand() -> None:
    assert mean_squared_error(STUDENT, TARGETS).item() == pytest.approx((0.25 + 0 + 0 + 9) / 4)
    assert value_mse(STUDENT, TEACHER).item() == pytest.approx((1 + 0 + 0 + 1) / 4)


@pytest.mark.parametrize(("beta", "want"), [(1.0, (0.125 + 2.5) / 4), (0.25, (0.375 + 2.875) / 4)])
def test_smooth_l1_by_hand(beta: float, want: float) -> None:
    """Of differences 1/2 and 3: a parabola below beta, a line above it."""
    assert smooth_l1(STUDENT, TARGETS, beta=beta).item() == pytest.approx(want)


@pytest.mark.parametrize(
    ("margin", "want"),
    [
        (0.0, (0 + 9) / 2),  # 1/4 is no more than the teacher's 1/4; 9 is more than its 4
        (0.1, (0.25 + 9) / 2),
    ],
)
def test_bounded_regression_by_hand(margin: float, want: float) -> None:
    got = bounded_regression(STUDENT, TEACHER, TARGETS, margin=margin)
    assert got.item() == pytest.approx(want)


def test_a_student_that_is_better_than_its_teacher_is_left_alone() -> None:
    student = TARGETS.clone().add_(0.1).requires_grad_()
    bounded_regression(student, TARGETS + 1, TARGETS).backward()
    assert student.grad is not None and not student.grad.any()


@pytest.mark.parametrize("name", ON_NUMBERS)
def test_zero_at_the_optimum_and_no_gradient_elsewhere(name: str) -> None:
    member = values.LOSSES[name]
    given: dict[str, Any] = {
        "student_values": torch.randn(6, 3, requires_grad=True),
        "teacher_values": torch.randn(6, 3, requires_grad=True),
        "targets": torch.randn(6, 3),
    }
    loss = member.load()
    loss(*(given[each] for each in find_signature(member).positional)).backward()
    assert given["teacher_values"].grad is None
    assert given["student_values"].grad is not None
    same = dict.fromkeys(given, torch.randn(6, 3))
    assert loss(*(same[each] for each in find_signature(member).positional)).item() == 0


@pytest.mark.parametrize("name", ON_NUMBERS)
def test_shapes_that_would_spread_over_one_another_are_refused(name: str) -> None:
    member = values.LOSSES[name]
    count = len(find_signature(member).positional)
    with pytest.raises(ValueError, match="want two"):
        member.load()(torch.zeros(6, 3), *[torch.zeros(6, 1)] * (count - 1))


@pytest.mark.parametrize("name", ON_NUMBERS)
def test_half_precision_is_computed_in_float32(name: str) -> None:
    member = values.LOSSES[name]
    given = [torch.full((6, 3), size, dtype=torch.float16) for size in (300.0, 1.0, 2.0)]
    value = member.load()(*given[: len(find_signature(member).positional)])
    assert value.dtype == torch.float32 and value.isfinite()
