"""Total variation and its kin for two vocabularies, by hand and by what must hold of them."""

from __future__ import annotations

import math

import pytest
import torch

from edgekd.learn.losses.language.differences import total_variation
from edgekd.learn.losses.language.differences import uld


def logits(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_total_variation_by_hand() -> None:
    student = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])  # 3/4, 1/4 and halves
    teacher = torch.tensor([[0.0, 0.0], [0.0, math.log(9)]])  # halves, and 1/10, 9/10
    assert total_variation(student, teacher).item() == pytest.approx((0.25 + 0.4) / 2)


def test_total_variation_at_a_temperature_is_that_of_softer_logits_times_its_square() -> None:
    student, teacher = logits(0, 5, 7), logits(1, 5, 7)
    want = 4 * total_variation(student / 2, teacher / 2).item()
    assert total_variation(student, teacher, temperature=2.0).item() == pytest.approx(want)


def test_total_variation_is_at_most_1() -> None:
    student, teacher = torch.tensor([[1e4, 0.0]]), torch.tensor([[0.0, 1e4]])
    assert total_variation(student, teacher).item() == 1


@pytest.mark.parametrize("turned", [False, True])
def test_uld_by_hand_whichever_vocabulary_is_the_larger(turned: bool) -> None:
    small = torch.tensor([[0.25, 0.75]]).log()
    large = torch.tensor([[0.1, 0.2, 0.6, 0.1]]).log()
    student, teacher = (large, small) if turned else (small, large)
    # .75 .25 0 0 beside .6 .2 .1 .1
    assert uld(student, teacher).item() == pytest.approx(0.15 + 0.05 + 0.1 + 0.1)


def test_uld_does_not_ask_which_class_is_which() -> None:
    student, teacher = logits(0, 2, 3, 7), logits(1, 2, 3, 11)
    one, other = (torch.randperm(n, generator=torch.Generator().manual_seed(0)) for n in (7, 11))
    want = uld(student, teacher).item()
    assert uld(student[..., one], teacher[..., other]).item() == pytest.approx(want, rel=1e-12)
    assert uld(student, student[..., one]).item() == pytest.approx(0, abs=1e-12)


def test_uld_never_costs_more_than_matching_by_class() -> None:
    student, teacher = logits(0, 5, 7), logits(1, 5, 7)
    assert uld(student, teacher).item() <= 2 * total_variation(student, teacher).item()


def test_uld_s_gradient_is_that_of_matched_ranks() -> None:
    student = logits(0, 4, 7).requires_grad_()
    teacher = logits(1, 4, 5)
    uld(student, teacher).backward()
    numerically = torch.zeros(4, 7, dtype=torch.float64)
    with torch.no_grad():
        for i in range(4):
            for j in range(7):
                step = torch.zeros(4, 7, dtype=torch.float64)
                step[i, j] = 1e-6
                up, down = uld(student + step, teacher), uld(student - step, teacher)
                numerically[i, j] = (up - down) / 2e-6
    assert student.grad is not None
    assert torch.allclose(student.grad, numerically, atol=1e-8)


def test_uld_wants_the_same_tokens() -> None:
    with pytest.raises(ValueError, match=r"want two \[..., \*\] of the same tokens"):
        uld(logits(0, 2, 3, 7), logits(1, 2, 4, 7))
