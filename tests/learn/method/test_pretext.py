"""The pretext task: rotations, whom they come from, whom to keep and what to transfer."""

from __future__ import annotations

import math

import pytest
import torch

from edgekd.learn.method.pretext import rotate
from edgekd.learn.method.pretext import rotation_origins
from edgekd.learn.method.pretext import select_best
from edgekd.learn.method.pretext import similarities
from edgekd.learn.method.pretext import transfer_loss


def test_rotations_by_hand() -> None:
    images = torch.tensor([[[[1, 2], [3, 4]]], [[[5, 6], [7, 8]]]])
    turned = rotate(images)
    assert turned[:, 0].tolist() == [
        [[2, 4], [1, 3]],
        [[6, 8], [5, 7]],
        [[4, 3], [2, 1]],
        [[8, 7], [6, 5]],
        [[3, 1], [4, 2]],
        [[7, 5], [8, 6]],
    ]
    assert rotation_origins(2, images.device).tolist() == [0, 1, 0, 1, 0, 1]
    with pytest.raises(ValueError, match="want square ones"):
        rotate(images[:, :, :1])


def test_similarities_are_cosines_and_finite_at_zero() -> None:
    turned = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)
    made = similarities(turned, torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    assert made.flatten().tolist() == pytest.approx([0.6, 0.8, 0.0, 0.0])
    made.sum().backward()
    assert turned.grad is not None and bool(turned.grad.isfinite().all())


@pytest.mark.parametrize(
    ("share", "rows"), [(0.0, [1]), (0.34, [1, 3]), (0.67, [1, 2, 3]), (0.99, [1, 2, 3])]
)
def test_the_right_and_the_least_wrong_are_kept(share: float, rows: list[int]) -> None:
    scores = torch.tensor(
        [[4.0, 3.0, 2.0, 1.0], [9.0, 3.0, 2.0, 1.0], [4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]]
    )
    wanted = torch.tensor([3, 0, 2, 2])  # their ranks: 3, 0, 2, 1
    assert select_best(scores, wanted, share).nonzero().flatten().tolist() == rows
    assert bool(select_best(scores, wanted, 1.0).all())


def test_transfer_row_by_row() -> None:
    student = torch.tensor([[1.0, 2.0, 0.0], [0.5, 0.0, 0.0], [3.0, 1.0, 1.0]], requires_grad=True)
    teacher = torch.tensor([[0.0, 1.0, 1.0], [2.0, 0.0, 1.0], [9.0, 9.0, 0.0]], requires_grad=True)
    kept = torch.tensor([True, True, False])

    def likely(row: list[float]) -> list[float]:
        total = sum(math.exp(x / 0.5) for x in row)
        return [math.exp(x / 0.5) / total for x in row]

    want = 0.0
    for ours, theirs in list(zip(student.tolist(), teacher.tolist(), strict=True))[:2]:
        pairs = zip(likely(theirs), likely(ours), strict=True)
        want += 0.25 * sum(p * math.log(p / q) for p, q in pairs) / 2
    value = transfer_loss(student, teacher, kept, 0.5)
    value.backward()
    assert value.item() == pytest.approx(want, rel=1e-5)
    assert student.grad is not None and student.grad[2].tolist() == [0, 0, 0]
    assert teacher.grad is None
    assert transfer_loss(student, teacher, torch.zeros(3, dtype=torch.bool), 0.5).item() == 0
