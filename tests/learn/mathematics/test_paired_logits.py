"""Logits to the tokens of two tokenizers, laid side by side, against a loop over the pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from edgekd.learn.losses.language.differences import uld
from edgekd.learn.mathematics.paired_logits import PairedLogits
from edgekd.learn.mathematics.paired_logits import keep_paired

PLACES = torch.tensor([[0, -1, 2, -1], [-1, 1, 0, 3]])
PAIRS = [(0, 0, 0), (0, 2, 2), (1, 1, 1), (1, 2, 0), (1, 3, 3)]
"""Sample, the student's token, the teacher's."""


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


STUDENT, TEACHER = draw(2, 4, 5), draw(2, 6, 9, seed=1)


def softmax(logits: Tensor) -> np.ndarray:
    values = np.exp(logits.numpy())
    return np.asarray(values / values.sum(-1, keepdims=True))


def expect_uld(pairs: list[tuple[int, int, int]]) -> float:
    """Boizard et al. 2024, eq. 4 and 5, pair by pair."""
    total = 0.0
    for sample, mine, theirs in pairs:
        p, q = np.zeros(9), np.zeros(9)
        p[:5] = np.sort(softmax(STUDENT[sample, mine]))[::-1]
        q[:] = np.sort(softmax(TEACHER[sample, theirs]))[::-1]
        total += float(np.abs(p - q).sum())
    return total / len(pairs)


def compare(student: Tensor, teacher: PairedLogits, counting: Tensor | None = None) -> Tensor:
    rows = student.flatten(0, 1) if counting is None else student[counting]
    paired = teacher.flatten() if counting is None else teacher[counting]
    given = keep_paired({"student_logits": rows, "teacher_logits": paired})
    return uld(given["student_logits"], given["teacher_logits"])


def test_each_token_is_compared_with_its_partner() -> None:
    teacher = PairedLogits.gather(TEACHER, PLACES)
    assert teacher.shape == (2, 4, 9) and teacher.ndim == 3 and len(teacher) == 2
    assert compare(STUDENT, teacher).item() == pytest.approx(expect_uld(PAIRS), rel=1e-12)


def test_of_tokens_that_do_not_count_none_is_compared() -> None:
    teacher = PairedLogits.gather(TEACHER, PLACES)
    counting = torch.tensor([[True, True, False, True], [True, False, True, True]])
    counted = [pair for pair in PAIRS if counting[pair[0], pair[1]]]
    assert len(counted) == 3
    value = compare(STUDENT, teacher, counting).item()
    assert value == pytest.approx(expect_uld(counted), rel=1e-12)


def test_labels_and_all_else_that_has_a_row_a_token_go_along() -> None:
    teacher = PairedLogits.gather(TEACHER, PLACES).flatten()
    labels, other = torch.arange(8), torch.zeros(3)
    found = keep_paired({"teacher_logits": teacher, "labels": labels, "other": other, "none": None})
    assert found["labels"].tolist() == [0, 2, 5, 6, 7]
    assert found["other"] is other and found["none"] is None
    assert torch.equal(found["teacher_logits"], torch.stack([TEACHER[b, j] for b, _, j in PAIRS]))
    assert keep_paired({"labels": labels}) == {"labels": labels}


def test_the_gradient_is_that_of_differences_and_none_without_a_partner() -> None:
    student = STUDENT.clone().requires_grad_()
    teacher = PairedLogits.gather(TEACHER, PLACES)
    assert torch.autograd.gradcheck(lambda logits: compare(logits, teacher), (student,))
    compare(student, teacher).backward()
    assert student.grad is not None
    assert (student.grad[PLACES < 0] == 0).all()
    assert (student.grad[PLACES >= 0].abs().sum(-1) > 0).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda student, teacher: (student.flip(-1), teacher),
        lambda student, teacher: (student, teacher[..., [3, 1, 8, 0, 2, 5, 4, 7, 6]]),
        lambda student, teacher: (student.flip(0), teacher.flip(0)),
    ],
    ids=["the student's vocabulary", "the teacher's vocabulary", "the samples"],
)
def test_an_order_changes_nothing(
    change: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
) -> None:
    student, teacher = change(STUDENT, TEACHER)
    places = PLACES if student[0, 0, 0] in (STUDENT[0, 0, 0], STUDENT[0, 0, -1]) else PLACES.flip(0)
    value = compare(student, PairedLogits.gather(teacher, places)).item()
    assert value == pytest.approx(expect_uld(PAIRS), rel=1e-12)


def test_of_no_pair_there_is_nothing_to_compare() -> None:
    teacher = PairedLogits.gather(TEACHER, torch.full((2, 4), -1))
    assert compare(STUDENT, teacher).item() == 0
