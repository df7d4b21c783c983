"""Teachers whose weights are learned beside the student."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.losses.response.soft_targets import kd
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes.adaptive import adaptive
from tests.learn import batch_example

LABELS = torch.arange(40) % 4


def seen() -> TensorBatch:
    images = F.one_hot(LABELS, 4).float().reshape(40, 1, 1, 4)
    return batch_example.tensor_batch(images, LABELS)


def low(seen: TensorBatch) -> Tensor:
    """Knows classes 0 and 1, and is wrong about the others."""
    return F.one_hot(LABELS % 2, 4).float() * 4


def high(seen: TensorBatch) -> Tensor:
    return F.one_hot(LABELS % 2 + 2, 4).float() * 4


def test_the_mixture_starts_as_the_mean_of_probabilities() -> None:
    student = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    (lesson,) = adaptive([low, high], 4, temperature=2.0).lessons(student, seen())
    told = F.softmax(lesson.signals["teacher_logits"] / 2, 1)
    want = (F.softmax(low(seen()) / 2, 1) + F.softmax(high(seen()) / 2, 1)) / 2
    assert torch.allclose(told, want, atol=1e-6)
    assert not lesson.signals["teacher_logits"].requires_grad


def test_its_own_term_is_the_mixture_s_cross_entropy_and_moves_no_student() -> None:
    student = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    scheme = adaptive([low, high], 4)
    (lesson,) = scheme.lessons(student, seen())
    mean = (F.softmax(low(seen()), 1) + F.softmax(high(seen()), 1)) / 2
    want = F.nll_loss(mean.log(), LABELS).item()
    assert lesson.own["weighing"].item() == pytest.approx(want, rel=1e-5)
    lesson.own["weighing"].backward()
    assert all(p.grad is None for p in student.parameters())
    assert all(p.grad is not None for p in scheme.companions.parameters())


def test_student_and_weights_learn_together_what_neither_teacher_knows_alone() -> None:
    torch.manual_seed(0)
    student = nn.Sequential(nn.Flatten(), nn.Linear(4, 4))
    scheme = adaptive([low, high], 4, temperature=1.0)
    optimizer = torch.optim.SGD([*student.parameters(), *scheme.companions.parameters()], lr=1.0)
    for _ in range(300):
        (lesson,) = scheme.lessons(student, seen())
        told = kd(lesson.signals["student_logits"], lesson.signals["teacher_logits"], temperature=1)
        optimizer.zero_grad()
        (told + sum(lesson.own.values())).backward()
        optimizer.step()
    assert bool((student(seen().inputs[0]).argmax(1) == LABELS).all())
    (lesson,) = scheme.lessons(student, seen())
    assert bool((lesson.signals["teacher_logits"].argmax(1) == LABELS).all())


def test_no_teacher_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one teacher"):
        adaptive([], 4)
