"""The projector that a student is shipped with."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.companions.reuse import reuse
from edgekd.learn.companions.reuse import shipped_projector

STUDENT, TEACHER = (4, 3, 8, 8), (4, 10, 4, 4)


@pytest.mark.parametrize(("factor", "middle"), [(1, 10), (2, 5), (4, 2), (100, 1)])
def test_a_bottleneck_of_three(factor: int, middle: int) -> None:
    beside = reuse(STUDENT, TEACHER, factor=factor)
    shapes = [tuple(m.weight.shape) for m in beside.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [(middle, 3, 1, 1), (middle, middle, 3, 3), (10, middle, 1, 1)]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in beside.modules()) == 3
    assert sum(isinstance(m, nn.ReLU) for m in beside.modules()) == 3


def test_what_is_trained_is_what_is_shipped() -> None:
    beside = reuse(STUDENT, TEACHER).eval()
    student, teacher = torch.randn(STUDENT), torch.randn(TEACHER)
    given = beside(student, teacher)
    assert torch.equal(beside.projector(student), given["student_features"])
    alone = beside.projector(student[:1])
    assert torch.allclose(alone, given["student_features"][:1], atol=1e-6)
    assert torch.equal(given["teacher_features"], teacher)
    assert given["student_features"].shape == TEACHER


def test_the_larger_is_pooled_whichever_it_is() -> None:
    given = reuse((4, 3, 4, 4), (4, 10, 8, 8))(torch.randn(4, 3, 4, 4), torch.randn(4, 10, 8, 8))
    assert given["student_features"].shape == given["teacher_features"].shape == (4, 10, 4, 4)


def test_a_teacher_that_ends_below_zero_can_be_met() -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(STUDENT), torch.randn(TEACHER)
    assert reuse(STUDENT, TEACHER)(student, teacher)["student_features"].min() >= 0
    assert reuse(STUDENT, TEACHER, rectified=False)(student, teacher)["student_features"].min() < 0


def test_zeros_state_and_vectors() -> None:
    beside, again = reuse(STUDENT, TEACHER), reuse(STUDENT, TEACHER)
    beside(torch.randn(STUDENT), torch.randn(TEACHER))
    again.load_state_dict(beside.state_dict())
    one, other = beside.eval().projector, again.eval().projector
    assert torch.equal(one(torch.zeros(STUDENT)), other(torch.zeros(STUDENT)))
    with pytest.raises(ValueError, match="want two"):
        reuse((4, 3), (4, 10))


def test_a_student_that_holds_its_projector_trains_no_other() -> None:
    beside = shipped_projector(TEACHER, TEACHER)
    student, teacher = torch.randn(TEACHER), torch.randn(TEACHER)
    assert torch.equal(beside(student, teacher)["student_features"], student)
    assert not list(beside.parameters())
    with pytest.raises(ValueError, match="not as wide as the teacher's"):
        shipped_projector(STUDENT, TEACHER)
