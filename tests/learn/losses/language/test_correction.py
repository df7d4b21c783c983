"""The corrected teacher by what it was made for, and the loss against it."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.losses.language.correction import correct_teacher
from edgekd.learn.losses.language.correction import mft
from edgekd.learn.losses.language.kullback_leibler import forward_kl


def logits(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*(shape or (4, 10)), generator=generator, dtype=torch.float64)


TEACHER = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64)


def test_a_wrong_teacher_is_moved_until_the_label_leads_by_the_threshold() -> None:
    for label in (1, 2):
        got = correct_teacher(TEACHER, torch.tensor([label]), 0.2)[0]
        assert got.sum().item() == pytest.approx(1, abs=1e-12)
        assert (got[label] - got[0]).item() == pytest.approx(0.2, abs=1e-6)
        other = 3 - label
        assert (got[other] / got[0]).item() == pytest.approx((TEACHER[0, other] / 0.5).item())


@pytest.mark.parametrize(("threshold", "want"), [(0.0, 0.5), (0.2, 0.7), (0.7, 1.0)])
def test_a_right_teacher_is_made_surer_by_the_threshold(threshold: float, want: float) -> None:
    got = correct_teacher(TEACHER, torch.tensor([0]), threshold)[0]
    assert got[0].item() == pytest.approx(want, abs=1e-6)
    left = 1 - want
    assert got[1:].tolist() == pytest.approx([0.6 * left, 0.4 * left], abs=1e-6)


def test_a_teacher_without_doubt_stays_so() -> None:
    sure = torch.tensor([[1.0, 0.0, 0.0]])
    assert torch.equal(correct_teacher(sure, torch.tensor([0]), 0.2), sure)
    turned = correct_teacher(sure, torch.tensor([2]), 0.2)[0]
    assert turned.tolist() == pytest.approx([0.4, 0.0, 0.6], abs=1e-6)


def test_a_teacher_who_is_right_needs_no_correction_of_nothing() -> None:
    student, teacher = logits(0), logits(1)
    got = mft(student, teacher, teacher.argmax(-1), threshold=0.0, temperature=2.0)
    want = forward_kl(student, teacher, temperature=2.0)
    assert got.item() == pytest.approx(want.item(), rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_student_who_answers_as_the_corrected_teacher_has_nothing_to_learn(
    temperature: float,
) -> None:
    teacher, labels = logits(1), torch.tensor([1, 4, 7, 0])
    answer = correct_teacher(torch.softmax(teacher / temperature, -1), labels, 0.2)
    student = (temperature * answer.log()).requires_grad_()
    value = mft(student, teacher, labels, temperature=temperature)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert student.grad is not None
    assert student.grad.abs().max().item() < 1e-12


def test_tokens_without_a_label_count_for_nothing() -> None:
    student, teacher = logits(0, 2, 3, 10).requires_grad_(), logits(1, 2, 3, 10)
    labels = torch.tensor([[1, -100, 3], [-100, -100, 6]])
    kept = labels >= 0
    value = mft(student, teacher, labels)
    want = mft(student[kept], teacher[kept], labels[kept])
    assert value.item() == pytest.approx(want.item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(value, student)
    assert bool((gradient[~kept] == 0).all())
    assert mft(student, teacher, torch.full((2, 3), -100)).item() == 0


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"want \[..., V\] and \[...\], got \(4, 10\) and \(3,\)"):
        mft(logits(0), logits(1), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="want two"):
        mft(logits(0), logits(1, 4, 9), torch.zeros(4, dtype=torch.int64))
