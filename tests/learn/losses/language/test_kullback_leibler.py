"""The KL losses as they are called: [B, C] like any classifier's, or tokens of a vocabulary."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.losses.language.kullback_leibler import adaptive_kl
from edgekd.learn.losses.language.kullback_leibler import forward_kl
from edgekd.learn.losses.language.kullback_leibler import reverse_kl
from edgekd.learn.losses.language.kullback_leibler import symmetric_kl
from edgekd.learn.losses.response.soft_targets import kd


def logits(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_forward_kl_of_a_classifier_is_kd(temperature: float) -> None:
    student, teacher = logits(0, 5, 7), logits(1, 5, 7)
    want = kd(student, teacher, temperature=temperature).item()
    got = forward_kl(student, teacher, temperature=temperature).item()
    assert got == pytest.approx(want, rel=1e-12)


def test_the_mean_is_over_all_tokens_and_not_over_sequences() -> None:
    student, teacher = logits(0, 2, 3, 7), logits(1, 2, 3, 7)
    want = sum(kd(student[:, i], teacher[:, i], temperature=1.0).item() for i in range(3)) / 3
    assert forward_kl(student, teacher).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_reverse_is_forward_with_the_two_exchanged(temperature: float) -> None:
    student, teacher = logits(0, 5, 7), logits(1, 5, 7)
    got = reverse_kl(student, teacher, temperature=temperature).item()
    want = forward_kl(teacher, student, temperature=temperature).item()
    assert got == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_symmetric_kl_is_the_weighted_sum(weight: float, temperature: float) -> None:
    student, teacher = logits(0, 5, 7), logits(1, 5, 7)
    forward, reverse = (
        f(student, teacher, temperature=temperature) for f in (forward_kl, reverse_kl)
    )
    got = symmetric_kl(student, teacher, forward_weight=weight, temperature=temperature)
    assert got.item() == pytest.approx((weight * forward + (1 - weight) * reverse).item())


def test_adaptive_kl_lies_between_the_two_for_each_token() -> None:
    student, teacher = logits(0, 50, 7), logits(1, 50, 7)
    for one, other in zip(student.split(1), teacher.split(1), strict=True):
        forward, reverse = forward_kl(one, other).item(), reverse_kl(one, other).item()
        assert min(forward, reverse) <= adaptive_kl(one, other).item() <= max(forward, reverse)


def test_adaptive_kl_with_everything_in_the_head_is_forward_kl() -> None:
    student, teacher = logits(0, 5, 7), logits(1, 5, 7)
    want = forward_kl(student, teacher).item()
    assert adaptive_kl(student, teacher, mu=0.0).item() == pytest.approx(want, rel=1e-12)
