"""The losses against mixtures as they are called, with what must hold of them."""

from __future__ import annotations

import math

import pytest
import torch

from edgekd.learn.losses.language.kullback_leibler import forward_kl
from edgekd.learn.losses.language.kullback_leibler import reverse_kl
from edgekd.learn.losses.language.mixtures import jsd
from edgekd.learn.losses.language.mixtures import skewed_forward_kl
from edgekd.learn.losses.language.mixtures import skewed_reverse_kl


def logits(seed: int, size: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(5, 7, generator=generator, dtype=torch.float64)


def test_jsd_at_one_half_is_symmetric_and_at_most_ln_2() -> None:
    student, teacher = logits(0, 30.0), logits(1, 30.0)
    value = jsd(student, teacher).item()
    assert value == pytest.approx(jsd(teacher, student).item(), rel=1e-12)
    assert 0.5 < value <= math.log(2)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_jsd_ends_in_forward_and_reverse_kl(temperature: float) -> None:
    given = logits(0), logits(1)
    for beta, end in ((0.0, forward_kl), (1.0, reverse_kl)):
        want = end(*given, temperature=temperature).item()
        assert jsd(*given, beta=beta, temperature=temperature).item() == pytest.approx(want)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_without_skew_they_are_forward_and_reverse_kl(temperature: float) -> None:
    given = logits(0), logits(1)
    for skewed, plain in ((skewed_forward_kl, forward_kl), (skewed_reverse_kl, reverse_kl)):
        want = plain(*given, temperature=temperature).item()
        assert skewed(*given, lam=0.0, temperature=temperature).item() == pytest.approx(want)


@pytest.mark.parametrize("lam", [0.1, 0.5, 0.9])
def test_two_skewed_halves_make_a_jsd(lam: float) -> None:
    """beta KL(p_t || m) + (1 - beta) KL(p_s || m), where m is the same mixture for both."""
    given = logits(0), logits(1)
    parts = skewed_forward_kl(*given, lam=lam), skewed_reverse_kl(*given, lam=1 - lam)
    want = jsd(*given, beta=lam).item()
    assert (lam * parts[0] + (1 - lam) * parts[1]).item() == pytest.approx(want, rel=1e-12)


def test_skewing_bounds_what_confident_disagreement_costs() -> None:
    student, teacher = torch.tensor([[1e4, 0.0]]), torch.tensor([[0.0, 1e4]])
    for skewed in (skewed_forward_kl, skewed_reverse_kl):
        assert skewed(student, teacher).item() == pytest.approx(math.log(10), rel=1e-5)
    assert forward_kl(student, teacher).item() == pytest.approx(1e4)
