"""The sparse losses as they are called: on a teacher at hand they are what stored answers would give."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from edgekd.learn.losses.language.differences import total_variation
from edgekd.learn.losses.language.kullback_leibler import forward_kl
from edgekd.learn.losses.language.mixtures import jsd
from edgekd.learn.losses.language.sparse import sparse_jsd
from edgekd.learn.losses.language.sparse import sparse_kl
from edgekd.learn.losses.language.sparse import sparse_tv
from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics.top_k import top_k
from edgekd.learn.mathematics.top_k import top_k_divergence

Loss = Callable[..., torch.Tensor]
PAIRS: list[tuple[Loss, Loss]] = [
    (sparse_kl, forward_kl),
    (sparse_jsd, jsd),
    (sparse_tv, total_variation),
]


def logits(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(2, 3, 9, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("top", [9, 50])
@pytest.mark.parametrize("missing", ["rest", "zero", "raw"])
@pytest.mark.parametrize(("sparse", "dense"), PAIRS)
def test_all_classes_kept_is_the_dense_loss(
    sparse: Loss, dense: Loss, missing: str, top: int, temperature: float
) -> None:
    given = logits(0), logits(1)
    want = dense(*given, temperature=temperature).item()
    got = sparse(*given, top=top, missing=missing, temperature=temperature).item()
    assert got == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("missing", ["rest", "zero", "raw"])
def test_stored_answers_give_the_loss_of_the_teacher_at_hand(missing: str) -> None:
    student, teacher = logits(0), logits(1)
    stored = top_k(teacher, 3, temperature=2.0)
    got = top_k_divergence(divergence.forward_kl, missing, 2.0)(student, *stored).mean()
    want = sparse_kl(student, teacher, top=3, missing=missing, temperature=2.0)
    assert got.item() == pytest.approx(want.item(), rel=1e-12)


@pytest.mark.parametrize("sparse", [sparse for sparse, _ in PAIRS])
def test_what_lies_outside_the_kept_classes_is_one_number(sparse: Loss) -> None:
    """Another order of the rest costs nothing; another sum of it does."""
    student, teacher = logits(0), logits(1)
    others = teacher.argsort(-1)[..., :6]
    turned = student.scatter(-1, others, student.gather(-1, others).roll(1, -1))
    want = sparse(student, teacher, top=3).item()
    assert sparse(turned, teacher, top=3).item() == pytest.approx(want, rel=1e-11)
    more = student.scatter_add(-1, others, torch.ones_like(others, dtype=torch.float64))
    assert sparse(more, teacher, top=3).item() != pytest.approx(want, rel=1e-3)


def test_beta_of_the_sparse_jsd_is_that_of_the_dense_one() -> None:
    given = logits(0), logits(1)
    for beta in (0.0, 0.2, 1.0):
        want = jsd(*given, beta=beta).item()
        assert sparse_jsd(*given, beta=beta, top=9).item() == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("sparse", [sparse for sparse, _ in PAIRS])
def test_an_unknown_way_to_treat_the_rest_is_refused(sparse: Loss) -> None:
    with pytest.raises(ValueError, match="got missing 'uniform'"):
        sparse(logits(0), logits(1), missing="uniform")
    with pytest.raises(ValueError, match="want two"):
        sparse(logits(0), logits(1)[..., :8])
