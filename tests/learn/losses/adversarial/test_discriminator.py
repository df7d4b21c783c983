"""The discriminator's loss by hand, and the family's table."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from edgekd.learn.losses.adversarial import LOSSES
from edgekd.learn.losses.adversarial.discriminator import discriminator_loss
from edgekd.learn.signals import needs
from edgekd.table import find_signature


def test_by_hand() -> None:
    """The student taken for itself with 3/4 and 1/2, the teacher with 9/10; for the teacher with 1/2 and 1/3."""
    student = torch.tensor([-math.log(3), 0.0])
    teacher = torch.tensor([math.log(9), math.log(9)])
    fooling = torch.tensor([0.0, -math.log(2)])
    want = -(math.log(0.75) + math.log(0.5)) / 4 - math.log(0.9) / 2
    assert discriminator_loss(student, teacher, fooling, strength=0).item() == pytest.approx(want)
    want -= 0.3 * (math.log(1 / 2) + math.log(1 / 3)) / 2
    assert discriminator_loss(student, teacher, fooling, strength=0.3).item() == pytest.approx(want)


def test_is_the_binary_cross_entropy_of_both_halves() -> None:
    student, teacher = torch.sin(torch.arange(6.0)), torch.cos(torch.arange(6.0))
    labels = torch.cat([torch.zeros(6), torch.ones(6)])
    want = F.binary_cross_entropy_with_logits(torch.cat([student, teacher]), labels)
    assert discriminator_loss(student, teacher, teacher, strength=0).item() == pytest.approx(
        want.item(), rel=1e-6
    )


def test_at_chance_it_is_ln_2_and_no_less_for_equal_scores() -> None:
    zero = torch.zeros(8)
    assert discriminator_loss(zero, zero, zero).item() == pytest.approx(2 * math.log(2))
    scores = torch.linspace(-3, 3, 8)
    assert discriminator_loss(scores, scores, scores, strength=0).item() > math.log(2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_when_sure_and_wrong(dtype: torch.dtype) -> None:
    wrong = torch.full((4,), 1e4, dtype=dtype, requires_grad=True)
    value = discriminator_loss(wrong, -wrong, -wrong)
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(2e4, rel=1e-2)
    assert wrong.grad is not None
    assert bool(wrong.grad.isfinite().all())


def test_two_rows_of_scores_are_wanted() -> None:
    for student, teacher in (
        (torch.zeros(4), torch.zeros(3)),
        (torch.zeros(4, 1), torch.zeros(4, 1)),
    ):
        with pytest.raises(ValueError, match=r"want three \[B\]"):
            discriminator_loss(student, teacher, student)


@pytest.mark.parametrize(
    ("name", "of"), [("adversarial-logits", "logits"), ("adversarial-features", "features")]
)
def test_table_names_what_the_scheme_must_give(name: str, of: str) -> None:
    assert needs(LOSSES[name]) == (f"student_{of}", f"teacher_{of}")
    assert set(find_signature(LOSSES[name]).knobs.model_fields) == {"hidden", "strength"}
    companion = LOSSES[name].companion
    assert companion is not None
    assert callable(companion.load())
