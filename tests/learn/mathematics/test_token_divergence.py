"""Stored answers of which the likeliest classes are known: what losses make of them, against the dense answers."""

from __future__ import annotations

import functools

import pytest
import torch

from edgekd.learn.losses.language.kullback_leibler import forward_kl
from edgekd.learn.losses.language.mixtures import jsd
from edgekd.learn.losses.language.sparse import sparse_jsd
from edgekd.learn.losses.language.sparse import sparse_kl
from edgekd.learn.losses.language.sparse import sparse_tv
from edgekd.learn.losses.response.soft_targets import kd
from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics import tokens
from edgekd.learn.mathematics.token_divergence import mean_divergence
from edgekd.learn.mathematics.top_k import TopKLogits
from edgekd.learn.mathematics.top_k import cut_logits

CLASSES, TOP = 40, 6


def logits(seed: int, rows: int = 9) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(rows, CLASSES, generator=generator)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_what_is_cut_keeps_the_likeliest_and_the_weight_of_the_others(
    temperature: float,
) -> None:
    dense = logits(0)
    cut = cut_logits(dense, TOP, temperature=temperature)
    want = torch.softmax(dense.double() / temperature, -1)
    likeliest = want.sort(-1, descending=True).indices[:, :TOP].sort(-1).values
    assert torch.equal(cut.indices, likeliest)
    known, rest = cut.log_probabilities(temperature)
    assert torch.allclose(known.exp().double(), want.gather(-1, likeliest), atol=1e-6)
    others = 1 - want.gather(-1, likeliest).sum(-1)
    assert torch.allclose(rest.exp().double(), others, atol=1e-6)


def test_others_are_alike_where_answers_are_spread_or_asked_at_another_temperature() -> None:
    cut = cut_logits(logits(0), TOP, temperature=2.0)
    whole = cut.spread()
    assert whole.shape == cut.shape == (9, CLASSES)
    for temperature in (1.0, 2.0, 5.0):
        want = torch.softmax(whole / temperature, -1)
        known, rest = cut.log_probabilities(temperature)
        assert torch.allclose(known.exp(), want.gather(-1, cut.indices), atol=1e-6)
        others = 1 - want.gather(-1, cut.indices).sum(-1)
        assert torch.allclose(rest.exp(), others, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("missing", ["rest", "zero", "raw"])
@pytest.mark.parametrize("loss", [sparse_kl, sparse_jsd, sparse_tv])
def test_sparse_losses_are_the_same_of_stored_and_of_dense_answers(
    loss: object, missing: str, temperature: float
) -> None:
    dense = logits(0)
    for stored, top in (
        (cut_logits(dense, TOP, temperature=temperature), 50),
        (_cut(dense, temperature), TOP),
    ):
        student, other = (logits(1).requires_grad_() for _ in range(2))
        said = {"missing": missing, "temperature": temperature}
        value = loss(student, stored, top=top, **said)  # type: ignore[operator]
        want = loss(other, dense, top=TOP, **said)  # type: ignore[operator]
        (value + want).backward()
        assert value.item() == pytest.approx(want.item(), rel=1e-5, abs=1e-6)
        assert student.grad is not None and other.grad is not None
        assert torch.allclose(student.grad, other.grad, atol=1e-6)


def _cut(dense: torch.Tensor, temperature: float) -> TopKLogits:
    """More than a loss takes: what it leaves weighs with the rest."""
    return cut_logits(dense, 3 * TOP, temperature=temperature)


def test_dense_losses_take_the_rest_for_one_class_more() -> None:
    student, dense = logits(1), logits(0)
    stored = cut_logits(dense, TOP)
    want = sparse_kl(student, dense, top=TOP)
    assert torch.allclose(forward_kl(student, stored), want, rtol=1e-5)
    assert torch.allclose(kd(student, stored, temperature=1.0), want, rtol=1e-5)
    assert forward_kl(student, dense) > want
    mixed = jsd(student, stored, beta=0.3)
    assert torch.allclose(mixed, sparse_jsd(student, dense, beta=0.3, top=TOP), rtol=1e-5)


def test_stored_answers_are_chosen_and_laid_out_as_tensors_are() -> None:
    cut = cut_logits(logits(0), TOP)
    counting = torch.arange(9) % 2 == 0
    assert torch.equal(cut[counting].spread(), cut.spread()[counting])
    folded = TopKLogits(
        cut.indices.reshape(3, 3, TOP),
        cut.values.reshape(3, 3, TOP),
        cut.rest.reshape(3, 3),
        CLASSES,
    )
    assert folded.shape == (3, 3, CLASSES) and folded.ndim == 3 and len(folded) == 3
    assert torch.equal(folded.flatten().spread(), cut.spread())


def test_many_tokens_in_chunks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    dense, stored = logits(0), cut_logits(logits(0), TOP)
    between = functools.partial(divergence.skewed_reverse_kl, lam=0.1)
    found = []
    for most in (tokens.MOST_AT_ONCE, 10):
        monkeypatch.setattr(tokens, "MOST_AT_ONCE", most)
        monkeypatch.setattr(tokens, "CHUNK", 2 * CLASSES)
        for teacher in (dense, stored):
            student = logits(1).requires_grad_()
            value = mean_divergence(between, student, teacher, 2.0)
            value.backward()
            assert student.grad is not None
            found.append((value.detach(), student.grad))
    for one, other in zip(found[:2], found[2:], strict=True):
        assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one, other, strict=True))


def test_stored_answers_of_other_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match=r"want two \[..., V\] of the same tokens"):
        mean_divergence(divergence.forward_kl, logits(1, 8), cut_logits(logits(0), TOP))
