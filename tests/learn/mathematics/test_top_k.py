"""Divergences from stored answers: against loops over classes, and against the dense ones."""

from __future__ import annotations

import functools
import math

import pytest
import torch

from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics.divergence import Divergence
from edgekd.learn.mathematics.tokens import soften
from edgekd.learn.mathematics.top_k import MISSING
from edgekd.learn.mathematics.top_k import top_k
from edgekd.learn.mathematics.top_k import top_k_divergence

ALL: dict[str, Divergence] = {
    "forward": divergence.forward_kl,
    "jsd": functools.partial(divergence.jsd, beta=0.3),
    "total variation": divergence.total_variation,
}


def logits(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, 3, 9, generator=generator, dtype=torch.float64)


def term(name: str, p: float, q: float) -> float:
    """One class's part of a divergence; p the teacher's, q the student's."""
    if name == "total variation":
        return abs(p - q) / 2
    if name == "forward":
        return p * math.log(p / q) if p else 0.0
    m = 0.3 * p + 0.7 * q
    return (0.3 * p * math.log(p / m) if p else 0.0) + 0.7 * q * math.log(q / m)


def slowly(name: str, student: torch.Tensor, teacher: torch.Tensor, k: int, missing: str) -> float:
    """One token, class by class."""
    q, p = torch.softmax(student, 0).tolist(), torch.softmax(teacher, 0).tolist()
    best = sorted(range(len(p)), key=lambda c: -p[c])[:k]
    rest_p, rest_q = 1 - sum(p[c] for c in best), 1 - sum(q[c] for c in best)
    if missing == "raw":
        return sum(term(name, p[c], q[c]) for c in best)
    if missing == "rest":
        return sum(term(name, p[c], q[c]) for c in best) + term(name, rest_p, rest_q)
    among = [term(name, p[c] / (1 - rest_p), q[c]) for c in best]
    return sum(among) + sum(term(name, 0.0, q[c]) for c in range(len(p)) if c not in best)


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("name", sorted(ALL))
def test_class_by_class(name: str, missing: str, k: int) -> None:
    student, teacher = logits(0), logits(1)
    got = top_k_divergence(ALL[name], missing)(student, *top_k(teacher, k))
    for i in range(2):
        for j in range(3):
            want = slowly(name, student[i, j], teacher[i, j], k, missing)
            assert got[i, j].item() == pytest.approx(want, rel=1e-10, abs=1e-13)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("name", sorted(ALL))
def test_with_all_classes_kept_it_is_the_dense_one(
    name: str, missing: str, temperature: float
) -> None:
    dense, sparse = logits(0).requires_grad_(), logits(0).requires_grad_()
    want = soften(ALL[name], temperature)(dense, logits(1))
    kept = top_k(logits(1), 9, temperature=temperature)
    got = top_k_divergence(ALL[name], missing, temperature)(sparse, *kept)
    got.sum().backward()
    want.sum().backward()
    assert torch.allclose(got, want, rtol=1e-11)
    assert dense.grad is not None
    assert sparse.grad is not None
    assert torch.allclose(sparse.grad, dense.grad, rtol=1e-10, atol=1e-14)


def test_keeping_takes_the_likeliest_first_and_no_more_than_there_are() -> None:
    teacher = logits(1).requires_grad_()
    kept = top_k(teacher, 4, temperature=2.0)
    softmax = torch.softmax(teacher.detach() / 2, -1)
    assert torch.allclose(kept.log_probabilities.exp(), softmax.gather(-1, kept.indices))
    assert torch.equal(kept.indices, softmax.argsort(-1, descending=True)[..., :4])
    assert not kept.log_probabilities.requires_grad
    assert top_k(teacher, 50).indices.shape == (2, 3, 9)


@pytest.mark.parametrize("name", sorted(ALL))
def test_the_rest_as_one_class_never_adds_and_more_classes_never_take_away(name: str) -> None:
    student, teacher = logits(0), logits(1)
    dense = soften(ALL[name])(student, teacher)
    least = torch.zeros(2, 3, dtype=torch.float64)
    for k in range(1, 10):
        values = top_k_divergence(ALL[name])(student, *top_k(teacher, k))
        assert bool((values >= least - 1e-12).all())
        assert bool((values <= dense + 1e-12).all())
        least = values


def test_the_rest_is_exact_where_both_share_it_out_alike() -> None:
    teacher = logits(1)
    indices = top_k(teacher, 3).indices
    student = teacher.scatter_add(-1, indices, logits(0)[..., :3])  # differs in those kept alone
    got = top_k_divergence(divergence.forward_kl)(student, *top_k(teacher, 3))
    assert torch.allclose(got, soften(divergence.forward_kl)(student, teacher), rtol=1e-10)


def test_zero_is_the_dense_one_from_the_renormalised_teacher() -> None:
    student, teacher = logits(0), logits(1)
    kept = top_k(teacher, 3)
    narrowed = torch.full_like(teacher, -1e5).scatter(-1, kept.indices, kept.log_probabilities)
    for name, between in ALL.items():
        got = top_k_divergence(between, "zero")(student, *kept)
        assert torch.allclose(got, soften(between)(student, narrowed), rtol=1e-10), name


def test_raw_may_be_negative() -> None:
    student = torch.tensor([[3.0, 0.0, 0.0]])
    kept = top_k(torch.zeros(1, 3), 1)
    kept = kept._replace(indices=torch.zeros_like(kept.indices))
    assert top_k_divergence(divergence.forward_kl, "raw")(student, *kept).item() < 0
    assert top_k_divergence(divergence.forward_kl, "rest")(student, *kept).item() > 0


@pytest.mark.parametrize("integers", [torch.int32, torch.int16, torch.uint16])
@pytest.mark.parametrize("floats", [torch.float32, torch.float16])
def test_answers_may_be_stored_small(integers: torch.dtype, floats: torch.dtype) -> None:
    student, teacher = logits(0).float().requires_grad_(), logits(1)
    kept = top_k(teacher, 5)
    small = kept.indices.to(integers), kept.log_probabilities.to(floats)
    got = top_k_divergence(divergence.forward_kl)(student, *small)
    got.sum().backward()
    want = top_k_divergence(divergence.forward_kl)(student.detach().double(), *kept)
    assert torch.allclose(got.double(), want, atol=3e-3)
    assert got.dtype == torch.float32


def test_stored_answers_learn_nothing() -> None:
    indices, stored = top_k(logits(1), 3)
    stored.requires_grad_()
    top_k_divergence(divergence.forward_kl)(
        logits(0).requires_grad_(), indices, stored
    ).sum().backward()
    assert stored.grad is None


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("name", sorted(ALL))
def test_a_teacher_who_is_sure_leaves_no_rest(name: str, missing: str) -> None:
    """And rounding may make its probabilities more than 1."""
    student = torch.tensor([[0.0, 5.0, 1.0, 2.0]], requires_grad=True)
    stored = torch.tensor([[1e-4, -9.0]], dtype=torch.float16)
    value = top_k_divergence(ALL[name], missing)(student, torch.tensor([[1, 3]]), stored)
    value.sum().backward()
    assert bool(value.isfinite().all())
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


def test_a_student_who_is_sure_has_a_rest_that_float32_can_tell() -> None:
    """1 - p of the kept would round to 0; the others' own logits do not."""
    student = torch.tensor([[40.0, 0.0, 0.0]])
    stored = torch.tensor([[math.log(0.5)]])
    got = top_k_divergence(divergence.forward_kl)(student, torch.tensor([[0]]), stored)
    want = 0.5 * math.log(0.5) + 0.5 * (math.log(0.5) - math.log(2) + 40)
    assert got.item() == pytest.approx(want, rel=1e-6)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="got missing 'uniform', want one of rest, zero, raw"):
        top_k_divergence(divergence.forward_kl, "uniform")
    student, kept = logits(0), top_k(logits(1), 3)
    function = top_k_divergence(divergence.forward_kl)
    for indices, values in (
        (kept.indices[..., :2], kept.log_probabilities),
        (kept.indices[:1], kept.log_probabilities[:1]),
        (kept.indices[..., :0], kept.log_probabilities[..., :0]),
        (kept.indices.repeat(1, 1, 4), kept.log_probabilities.repeat(1, 1, 4)),
    ):
        with pytest.raises(ValueError, match=r"want \[..., V\] and two \[..., k\], k <= V"):
            function(student, indices, values)
