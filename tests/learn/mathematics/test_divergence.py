"""Each divergence against its formula in plain arithmetic, and against what must hold of it."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics.divergence import Divergence

STUDENT, TEACHER = [0.4, 0.4, 0.2], [0.6, 0.3, 0.1]
ALL: dict[str, Divergence] = {
    "forward": divergence.forward_kl,
    "reverse": divergence.reverse_kl,
    "symmetric": functools.partial(divergence.symmetric_kl, forward_weight=0.3),
    "adaptive": functools.partial(divergence.adaptive_kl, mu=0.5),
    "jsd": functools.partial(divergence.jsd, beta=0.3),
    "skewed forward": functools.partial(divergence.skewed_forward_kl, lam=0.1),
    "skewed reverse": functools.partial(divergence.skewed_reverse_kl, lam=0.1),
    "total variation": divergence.total_variation,
}


def logs(*probabilities: list[float]) -> torch.Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


def of_random(seed: int, spread: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(5, 3, 20, generator=generator, dtype=torch.float64)).log_softmax(
        -1
    )


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def mixed(p: list[float], q: list[float], share: float) -> list[float]:
    return [share * a + (1 - share) * b for a, b in zip(p, q, strict=True)]


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("forward", kl(TEACHER, STUDENT)),
        ("reverse", kl(STUDENT, TEACHER)),
        ("symmetric", 0.3 * kl(TEACHER, STUDENT) + 0.7 * kl(STUDENT, TEACHER)),
        # Only the first class is the head; the gap is .2 there, .1 and .1 behind it.
        ("adaptive", 0.5 * kl(TEACHER, STUDENT) + 0.5 * kl(STUDENT, TEACHER)),
        (
            "jsd",
            0.3 * kl(TEACHER, mixed(TEACHER, STUDENT, 0.3))
            + 0.7 * kl(STUDENT, mixed(TEACHER, STUDENT, 0.3)),
        ),
        ("skewed forward", kl(TEACHER, mixed(TEACHER, STUDENT, 0.1))),
        ("skewed reverse", kl(STUDENT, mixed(STUDENT, TEACHER, 0.1))),
        ("total variation", 0.2),
    ],
)
def test_by_hand(name: str, want: float) -> None:
    swapped = [TEACHER[i] for i in (2, 0, 1)], [STUDENT[i] for i in (2, 0, 1)]
    student, teacher = logs(STUDENT, swapped[1]), logs(TEACHER, swapped[0])
    assert ALL[name](student, teacher).tolist() == pytest.approx([want, want], rel=1e-12)


@pytest.mark.parametrize(
    ("mu", "forward"),
    [(0.05, 1.0), (0.2, 0.75), (0.35, 0.75), (0.45, 0.5), (0.9, 0.5), (1.0, 0.5)],
)
def test_the_head_is_what_the_teacher_finds_likeliest(mu: float, forward: float) -> None:
    """The least classes add up to .1, .4 and 1: below mu they are the tail."""
    want = forward * kl(TEACHER, STUDENT) + (1 - forward) * kl(STUDENT, TEACHER)
    got = divergence.adaptive_kl(logs(STUDENT), logs(TEACHER), mu=mu)
    assert got.item() == pytest.approx(want, rel=1e-12)


def test_the_weight_of_adaptive_kl_is_not_differentiated() -> None:
    student = logs(STUDENT).requires_grad_()
    divergence.adaptive_kl(student, logs(TEACHER), mu=0.5).backward()
    other = logs(STUDENT).requires_grad_()
    divergence.symmetric_kl(other, logs(TEACHER), forward_weight=0.5).backward()
    assert student.grad is not None
    assert other.grad is not None
    assert torch.allclose(student.grad, other.grad, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(ALL))
def test_never_negative_and_nothing_at_a_copy(name: str) -> None:
    one, other = of_random(0), of_random(1)
    assert bool((ALL[name](one, other) > 0).all())
    assert ALL[name](one, one.clone()).abs().max().item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("name", sorted(ALL))
def test_finite_where_neither_says_what_the_other_does(name: str) -> None:
    student = torch.tensor([[2e4, 0.0, -2e4]]).log_softmax(-1).requires_grad_()
    teacher = torch.tensor([[-2e4, 0.0, 2e4]]).log_softmax(-1)
    value = ALL[name](student, teacher)
    value.sum().backward()
    assert bool(value.isfinite().all())
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


def test_reverse_is_forward_with_the_two_exchanged() -> None:
    one, other = of_random(0), of_random(1)
    assert torch.equal(divergence.reverse_kl(one, other), divergence.forward_kl(other, one))


def test_jsd_is_symmetric_and_bounded_at_one_half() -> None:
    one, other = of_random(0, 9.0), of_random(1, 9.0)
    half = functools.partial(divergence.jsd, beta=0.5)
    assert torch.allclose(half(one, other), half(other, one), rtol=1e-12)
    assert half(one, other).max().item() < math.log(2)
    apart = logs([1 - 1e-12, 1e-12]), logs([1e-12, 1 - 1e-12])
    assert half(*apart).item() == pytest.approx(math.log(2), rel=1e-9)


def test_jsd_with_beta_exchanged_is_that_of_the_two_exchanged() -> None:
    one, other = of_random(0), of_random(1)
    got = divergence.jsd(one, other, beta=0.2)
    assert torch.allclose(got, divergence.jsd(other, one, beta=0.8), rtol=1e-12)


def test_jsd_ends_in_forward_and_reverse_kl_as_it_tends_to_them() -> None:
    one, other = of_random(0, 1.0), of_random(1, 1.0)
    for end, near in ((0.0, 1e-6), (1.0, 1 - 1e-6)):
        limit = divergence.jsd(one, other, beta=near) / (near * (1 - near))
        assert torch.allclose(divergence.jsd(one, other, beta=end), limit, rtol=1e-3)
    assert torch.equal(divergence.jsd(one, other, beta=0.0), divergence.forward_kl(one, other))
    assert torch.equal(divergence.jsd(one, other, beta=1.0), divergence.reverse_kl(one, other))


@pytest.mark.parametrize("lam", [0.1, 0.5])
def test_skewed_divergences_are_bounded_where_the_others_are_not(lam: float) -> None:
    one, other = logs([1 - 1e-12, 1e-12]), logs([1e-12, 1 - 1e-12])
    for skewed in (divergence.skewed_forward_kl, divergence.skewed_reverse_kl):
        assert skewed(one, other, lam=lam).item() == pytest.approx(-math.log(lam), rel=1e-9)
    assert divergence.forward_kl(one, other).item() > 27


def test_skewed_by_nothing_and_by_everything() -> None:
    one, other = of_random(0).requires_grad_(), of_random(1)
    plain = divergence.forward_kl(one, other), divergence.reverse_kl(one, other)
    assert torch.allclose(divergence.skewed_forward_kl(one, other, lam=0.0), plain[0], rtol=1e-12)
    assert torch.allclose(divergence.skewed_reverse_kl(one, other, lam=0.0), plain[1], rtol=1e-12)
    for skewed in (divergence.skewed_forward_kl, divergence.skewed_reverse_kl):
        nothing = skewed(one, other, lam=1.0).sum()
        (gradient,) = torch.autograd.grad(nothing, one)
        assert nothing.item() == pytest.approx(0, abs=1e-12)
        assert bool(gradient.isfinite().all())


def test_total_variation_is_between_0_and_1_and_keeps_the_triangle() -> None:
    one, two, three = (of_random(seed, 9.0) for seed in range(3))
    far = divergence.total_variation(one, two)
    assert bool(((far > 0) & (far < 1)).all())
    detour = divergence.total_variation(one, three) + divergence.total_variation(three, two)
    assert bool((far <= detour + 1e-12).all())
    apart = logs([1 - 1e-12, 1e-12]), logs([1e-12, 1 - 1e-12])
    assert divergence.total_variation(*apart).item() == pytest.approx(1, abs=1e-9)


def test_pinsker_binds_them() -> None:
    one, other = of_random(0), of_random(1)
    assert bool(
        (2 * divergence.total_variation(one, other) ** 2 <= divergence.forward_kl(one, other)).all()
    )
