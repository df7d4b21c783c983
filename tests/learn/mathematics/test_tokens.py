"""Means over tokens that count, and evaluation in chunks that changes nothing but the memory."""

from __future__ import annotations

import functools

import pytest
import torch

from edgekd.learn.losses.language.correction import corrected_kl
from edgekd.learn.losses.language.differences import ranked_difference
from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics import tokens
from edgekd.learn.mathematics.divergence import Divergence
from edgekd.learn.mathematics.tokens import Tokenwise
from edgekd.learn.mathematics.tokens import compute_in_chunks
from edgekd.learn.mathematics.tokens import masked_mean
from edgekd.learn.mathematics.tokens import soften
from edgekd.learn.mathematics.top_k import top_k
from edgekd.learn.mathematics.top_k import top_k_divergence

DIVERGENCES: dict[str, Divergence] = {
    "forward": divergence.forward_kl,
    "adaptive": functools.partial(divergence.adaptive_kl, mu=0.5),
    "jsd": functools.partial(divergence.jsd, beta=0.3),
    "total variation": divergence.total_variation,
}
MASK = torch.tensor([[True, False, True], [True, True, False]])


def logits(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(*(shape or (2, 3, 11)), generator=generator, dtype=torch.float64)


def cases() -> dict[str, tuple[Tokenwise, tuple[torch.Tensor, ...]]]:
    """A tokenwise function of each form, with what it is given after the student's logits."""
    teacher, labels = logits(1), torch.tensor([[0, 3, 10], [2, 2, 5]])
    every: dict[str, tuple[Tokenwise, tuple[torch.Tensor, ...]]] = {
        name: (soften(between, 2.0), (teacher,)) for name, between in DIVERGENCES.items()
    }
    every["kept"] = (top_k_divergence(divergence.forward_kl), tuple(top_k(teacher, 4)))
    every["ranked"] = (ranked_difference, (logits(1, 2, 3, 7),))
    every["corrected"] = (
        functools.partial(corrected_kl, threshold=0.2),
        (teacher, labels),
    )
    return every


def test_softened_is_the_divergence_at_that_temperature_times_its_square() -> None:
    student, teacher = logits(0), logits(1)
    p, q = (torch.softmax(z / 3, -1) for z in (teacher, student))
    want = 9 * (p * (p / q).log()).sum(-1)
    assert torch.allclose(soften(divergence.forward_kl, 3.0)(student, teacher), want, rtol=1e-12)


def test_softened_computes_halves_in_float32_and_detaches_the_teacher() -> None:
    student, teacher = (logits(i).half().requires_grad_() for i in range(2))
    values = soften(divergence.forward_kl)(student, teacher)
    values.sum().backward()
    want = soften(divergence.forward_kl)(student.detach().double(), teacher.detach().double())
    assert values.dtype == torch.float32
    assert torch.allclose(values.double(), want, rtol=1e-5)
    assert student.grad is not None
    assert teacher.grad is None


def test_the_mean_is_over_tokens_that_count() -> None:
    values = torch.tensor([[1.0, 20.0, 3.0], [4.0, 5.0, 60.0]], dtype=torch.float64)
    assert masked_mean(values).item() == pytest.approx(93 / 6)
    assert masked_mean(values, MASK).item() == pytest.approx(13 / 4)
    assert masked_mean(values, torch.ones_like(MASK)).item() == pytest.approx(93 / 6)


def test_a_mask_is_as_good_as_leaving_the_tokens_out() -> None:
    student, teacher = logits(0).requires_grad_(), logits(1)
    forward = soften(divergence.forward_kl)
    masked = masked_mean(forward(student, teacher), MASK)
    without = masked_mean(forward(student[MASK], teacher[MASK]))
    assert masked.item() == pytest.approx(without.item(), rel=1e-12)
    one, other = (torch.autograd.grad(v, student)[0] for v in (masked, without))
    assert torch.allclose(one, other, rtol=1e-12)
    assert bool((one[~MASK] == 0).all())


@pytest.mark.parametrize("name", sorted(cases()))
def test_nothing_counts_is_nothing_and_no_nan(name: str) -> None:
    function, others = cases()[name]
    student = logits(0).requires_grad_()
    value = masked_mean(function(student, *others), torch.zeros_like(MASK))
    value.backward()
    assert value.item() == 0
    assert student.grad is not None
    assert bool((student.grad == 0).all())


def test_no_tokens_at_all_are_nothing() -> None:
    assert masked_mean(torch.zeros(2, 0)).item() == 0
    assert masked_mean(torch.zeros(2, 0), torch.zeros(2, 0, dtype=torch.bool)).item() == 0


def test_a_mask_of_other_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"want a mask of \(2, 3\) tokens, got one of \(3,\)"):
        masked_mean(torch.zeros(2, 3), torch.ones(3))


@pytest.mark.parametrize("size", [1, 2, 4, 6, 100])
@pytest.mark.parametrize("name", sorted(cases()))
def test_chunks_change_neither_values_nor_gradients(name: str, size: int) -> None:
    function, others = cases()[name]
    results = []
    for evaluated in (function, compute_in_chunks(function, size)):
        student = logits(0).requires_grad_()
        values = evaluated(student, *others)
        (values * torch.arange(1.0, 7.0).reshape(2, 3)).sum().backward()
        assert student.grad is not None
        results.append((values.detach(), student.grad))
    for whole, parts in zip(*results, strict=True):
        assert parts.shape == whole.shape
        assert (whole - parts).abs().max().item() < 1e-12


def test_chunks_keep_the_gradient_and_nothing_else() -> None:
    student, teacher = logits(0, 64, 100).requires_grad_(), logits(1, 64, 100)
    seen: list[int] = []
    kept: list[int] = []

    def watched(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        seen.append(len(one))
        return soften(divergence.forward_kl)(one, other)

    def keeps(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keeps, lambda tensor: tensor):
        watched(student, teacher)
        assert sum(kept) >= 2 * 64 * 100
        kept.clear()
        seen.clear()
        values = compute_in_chunks(watched, 8)(student, teacher)
    values.sum().backward(retain_graph=True)
    assert max(kept) <= 8 * 100  # of one chunk, which ends before the next
    assert seen == [8] * 8  # every chunk once
    with pytest.raises(RuntimeError, match="want the gradient once"):
        values.sum().backward()


def test_without_a_gradient_chunks_compute_values_alone() -> None:
    student, teacher = logits(0), logits(1)
    whole = soften(divergence.forward_kl)(student, teacher)
    parts = compute_in_chunks(soften(divergence.forward_kl), 4)(student, teacher)
    assert not parts.requires_grad and torch.allclose(parts, whole, rtol=1e-12)


def test_chunks_of_other_tokens_are_refused() -> None:
    evaluated = compute_in_chunks(soften(divergence.forward_kl), 4)
    with pytest.raises(ValueError, match=r"want tensors of the same tokens \(2, 3\)"):
        evaluated(logits(0), logits(1, 3, 3, 11))


def test_many_logits_are_cut_into_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST_AT_ONCE", 60)
    monkeypatch.setattr(tokens, "CHUNK", 23)
    seen: list[tuple[int, ...]] = []

    def watched(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(one.shape))
        return soften(divergence.forward_kl)(one, other)

    tokens.compute_rows(watched)(logits(0)[:, :2], logits(1)[:, :2])
    tokens.compute_rows(watched)(logits(0), logits(1))
    assert seen == [(2, 2, 11), (2, 11), (2, 11), (2, 11)]


def test_chunks_want_a_token() -> None:
    with pytest.raises(ValueError, match="got chunks of 0 tokens"):
        compute_in_chunks(soften(divergence.forward_kl), 0)


@pytest.mark.parametrize("shape", [(2, 3, 10), (3, 3, 11), (6, 11)])
def test_other_tokens_and_vocabularies_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"want two \[..., V\] of the same tokens"):
        soften(divergence.forward_kl)(logits(0), logits(1, *shape))
