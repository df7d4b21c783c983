"""Defensive distillation (Papernot et al. 2016, arXiv:1511.04508) is kd at the teacher's temperature."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from edgekd.learn.losses.response.labels import defensive
from edgekd.learn.losses.response.soft_targets import kd

HOT = 20.0


def test_kd_is_the_cross_entropy_to_softened_answers_but_for_their_entropy() -> None:
    """Their eq. 6 with the logits of both over T: T^2 (H(p, q) - H(p))."""
    chance = torch.Generator().manual_seed(0)
    student, teacher = (30 * torch.randn(8, 5, generator=chance) for _ in range(2))
    soft = F.softmax(teacher / HOT, 1)
    crossed = F.cross_entropy(student / HOT, soft)
    entropy = -(soft * soft.log()).sum(1).mean()
    want = HOT**2 * (crossed - entropy)
    assert kd(student, teacher, temperature=HOT).item() == pytest.approx(want.item(), rel=1e-4)


def test_it_pulls_as_the_cross_entropy_does_times_temperature_squared() -> None:
    chance = torch.Generator().manual_seed(1)
    teacher = 30 * torch.randn(8, 5, generator=chance)
    one = (30 * torch.randn(8, 5, generator=chance)).requires_grad_()
    other = one.detach().clone().requires_grad_()
    kd(one, teacher, temperature=HOT).backward()
    F.cross_entropy(other / HOT, F.softmax(teacher / HOT, 1)).backward()
    assert one.grad is not None and other.grad is not None
    assert torch.allclose(one.grad, HOT**2 * other.grad, rtol=1e-4, atol=1e-6)


def test_a_hot_teacher_teaches_what_it_was_trained_to_say() -> None:
    """Trained at T its logits are T times as large: 3/4 and 1/4 at T, all but sure at 1."""
    teacher = torch.tensor([[HOT * math.log(3), 0.0]])
    student = torch.zeros(1, 2)
    want = HOT**2 * (0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    assert kd(student, teacher, temperature=HOT).item() == pytest.approx(want, rel=1e-5)
    assert F.softmax(teacher, 1)[0, 1].item() < 1e-9


def test_the_teacher_s_loss_is_the_cross_entropy_of_softened_answers() -> None:
    logits, labels = torch.tensor([[HOT * math.log(3), 0.0]]), torch.tensor([0])
    assert defensive(logits, labels, temperature=HOT).item() == pytest.approx(math.log(4 / 3))
    assert defensive(logits, labels, temperature=1.0).item() == pytest.approx(0, abs=1e-6)
