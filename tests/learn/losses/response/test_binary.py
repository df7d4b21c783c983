"""Classes that do not compete: values by hand, at a temperature where a lost factor shows."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from edgekd.learn.losses.response.binary import binary_cross_entropy
from edgekd.learn.losses.response.binary import binary_kd

LOG3 = math.log(3)
"""The logit of 3/4."""


def test_binary_cross_entropy_by_hand() -> None:
    """-log 3/4 where it is there, -log 1/4 where it is not, -log 1/2 twice."""
    logits = torch.tensor([[LOG3, LOG3], [0.0, 0.0]])
    labels = torch.tensor([[1, 0], [1, 0]], dtype=torch.uint8)
    want = -(math.log(3 / 4) + math.log(1 / 4) + 2 * math.log(1 / 2)) / 4
    assert binary_cross_entropy(logits, labels).item() == pytest.approx(want, rel=1e-6)
    half = torch.full((2, 2), 0.5)
    assert binary_cross_entropy(torch.zeros(2, 2), half).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_binary_kd_by_hand(temperature: float) -> None:
    """From 3/4 to 1/2 in one of two classes."""
    teacher = torch.tensor([[temperature * LOG3, 0.0]])
    nats = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    got = binary_kd(torch.zeros(1, 2), teacher, temperature=temperature).item()
    assert got == pytest.approx(temperature**2 * nats / 2, rel=1e-5)


def test_binary_kd_is_zero_for_a_copy_and_never_moves_the_teacher() -> None:
    teacher = torch.randn(8, 10, requires_grad=True)
    student = torch.randn(8, 10, requires_grad=True)
    binary_kd(student, teacher, temperature=2.0).backward()
    assert binary_kd(teacher, teacher).item() == pytest.approx(0, abs=1e-7)
    assert teacher.grad is None and student.grad is not None


def test_the_gradient_of_binary_kd_is_that_of_cross_entropy_to_the_teacher_s_sigmoid() -> None:
    teacher, student = torch.randn(8, 10).double(), torch.randn(8, 10).double().requires_grad_()
    (one,) = torch.autograd.grad(binary_kd(student, teacher), student)
    wanted = F.binary_cross_entropy_with_logits(student, teacher.sigmoid())
    (other,) = torch.autograd.grad(wanted, student)
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_kd_of_two_classes_is_binary_kd_of_their_difference() -> None:
    from edgekd.learn.losses.response.soft_targets import kd

    student, teacher = torch.randn(6, 2).double(), torch.randn(6, 2).double()
    pairs = [(each[:, :1] - each[:, 1:]) for each in (student, teacher)]
    got = binary_kd(*pairs, temperature=3.0)
    torch.testing.assert_close(got, kd(student, teacher, temperature=3.0))


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 3, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    for loss in (binary_cross_entropy, binary_kd):
        with pytest.raises(ValueError, match="want two"):
            loss(torch.zeros(4, 3), torch.zeros(shape))


def test_extreme_logits_give_finite_numbers() -> None:
    student = torch.tensor([[1e4, -1e4]], requires_grad=True)
    value = binary_kd(student, torch.tensor([[-1e4, 1e4]])) + binary_cross_entropy(
        student, torch.tensor([[0, 1]])
    )
    value.backward()
    assert value.isfinite() and student.grad is not None and student.grad.isfinite().all()
