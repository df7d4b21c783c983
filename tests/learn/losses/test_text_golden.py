"""Losses of texts against reference values and gradients (named in text_golden.json), in float64; and their masks.

The gradient is compared by its norm and along cos(.37 k + .2), summed over the tensors it is taken of.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edgekd.learn.losses.attention.tokens import attention_kl
from edgekd.learn.losses.attention.tokens import attention_scores
from edgekd.learn.losses.attention.tokens import minilm
from edgekd.learn.losses.feature.regression import cosine
from edgekd.learn.losses.feature.regression import fitnet
from edgekd.learn.losses.feature.regression import patient
from edgekd.learn.losses.language.differences import total_variation
from edgekd.learn.losses.language.differences import uld
from edgekd.learn.losses.language.kullback_leibler import forward_kl
from edgekd.learn.losses.language.kullback_leibler import reverse_kl
from edgekd.learn.losses.language.mixtures import jsd
from edgekd.learn.losses.language.mixtures import skewed_forward_kl
from edgekd.learn.losses.language.mixtures import skewed_reverse_kl
from edgekd.learn.losses.language.sparse import sparse_kl
from edgekd.learn.losses.response.labels import cross_entropy
from edgekd.learn.losses.values.ranking import compare_margins
from edgekd.learn.losses.values.ranking import compare_scores
from edgekd.learn.losses.values.ranking import margin_mse
from edgekd.learn.losses.values.ranking import score_kl

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("text_golden.json").read_text())
Given = dict[str, Tensor]


def arrays() -> Given:
    return {k: torch.tensor(v, dtype=torch.float64) for k, v in GOLDEN["arrays"].items()}


def masked_scores(given: Given) -> Tensor:
    """As the reference has it: masked keys hold -1e4 on both sides."""
    padding = (given["tok_mask"] == 0)[:, None, None, :]
    return attention_scores(*(given[n].masked_fill(padding, -1e4) for n in ("att_s", "att_t")))


def relations(given: Given, parts: str) -> Tensor:
    each = [
        minilm(given[f"{part}_s"], given[f"{part}_t"], given["tok_mask"], heads=3) for part in parts
    ]
    return torch.stack(each).sum()


def products(given: Given) -> tuple[Tensor, Tensor]:
    return tuple((given["query_s"] * given[name]).sum(1) for name in ("pos_s", "neg_s"))  # type: ignore[return-value]


def margins(given: Given) -> Tensor:
    return compare_margins(*products(given), *given["teacher_scores"].T).mean()


def scores(given: Given) -> Tensor:
    return compare_scores(torch.stack(products(given), dim=1), given["teacher_scores"]).mean()


def tokens(given: Given, teacher: str = "lm_t") -> tuple[Tensor, Tensor]:
    """Logits of the places whose next token counts, [P, V]."""
    kept = given["lm_y"][:, 1:] >= 0
    return given["lm_s"][:, :-1][kept], given[teacher][:, :-1][kept]


def labels(given: Given) -> Tensor:
    following = given["lm_y"][:, 1:]
    return following[following >= 0].long()


def sequence_means(given: Given) -> Tensor:
    """The mean of means is another number, and is made of calls on one sequence each."""
    kept = given["lm_y"][:, 1:] >= 0
    rows = [
        forward_kl(s[k], t[k])
        for s, t, k in zip(given["lm_s"][:, :-1], given["lm_t"][:, :-1], kept, strict=True)
    ]
    return torch.stack(rows).mean()


CASES: dict[str, Callable[[Given], Tensor]] = {
    "tinybert_attention": masked_scores,
    "tinybert_hidden": lambda g: fitnet(g["hid_s"] @ g["proj"], g["hid_t"]),
    "minilm_attention": lambda g: attention_kl(g["att_s"], g["att_t"], g["tok_mask"]),
    "minilmv2": lambda g: relations(g, "qkv"),
    "minilm_value": lambda g: relations(g, "v"),
    "distilbert_cosine": lambda g: cosine(g["hid_s"], g["hid_t"][..., :6], g["tok_mask"]),
    "margin_mse": margins,
    "score_kl": scores,
    "lm_ce": lambda g: cross_entropy(tokens(g)[0], labels(g)),
    "lm_forward_kl": lambda g: forward_kl(*tokens(g)),
    "lm_reverse_kl": lambda g: reverse_kl(*tokens(g)),
    "lm_forward_kl_sequence_mean": sequence_means,
    "lm_gjsd": lambda g: jsd(*tokens(g), beta=0.5, temperature=0.9) / 0.9**2,  # theirs has no T^2
    "lm_skew_forward_kl": lambda g: skewed_forward_kl(*tokens(g), lam=0.1),
    "lm_skew_reverse_kl": lambda g: skewed_reverse_kl(*tokens(g), lam=0.1),
    "lm_tvd": lambda g: total_variation(*tokens(g)),
    "lm_topk_tail": lambda g: sparse_kl(*tokens(g), top=3),
    "lm_uld": lambda g: uld(*tokens(g)),
    "lm_seq_kd": lambda g: cross_entropy(tokens(g)[0], tokens(g)[1].argmax(1)),
}


@pytest.mark.parametrize("key", CASES)
def test_value_and_gradient_are_the_reference_s(key: str) -> None:
    given, want = arrays(), GOLDEN["losses"][key]
    leaves = [given[name].requires_grad_() for name in want["student_gradient"]["with_respect_to"]]
    value = CASES[key](given)
    value.backward()
    rel = 1e-6 if key == "lm_ce" else 1e-9  # its authors' is in float32
    assert value.item() == pytest.approx(want["value"], rel=rel)
    found = [leaf.grad.flatten() for leaf in leaves if leaf.grad is not None]
    along = sum(
        float((g * torch.cos(0.37 * torch.arange(len(g), dtype=g.dtype) + 0.2)).sum())
        for g in found
    )
    assert along == pytest.approx(want["student_gradient"]["directional"], rel=1e-6)
    assert torch.cat(found).norm().item() == pytest.approx(want["student_gradient"]["l2"], rel=1e-6)


def test_every_reference_is_asked() -> None:
    assert set(CASES) == set(GOLDEN["losses"])


MASKED: dict[str, Callable[[Tensor, Tensor, Tensor | None], Tensor]] = {
    "fitnet": fitnet,
    "cosine": cosine,
    "patient": lambda s, t, m: patient(s, t, m, class_token=False),
    "minilm": lambda s, t, m: minilm(s, t, m, heads=2),
    "attention-scores": lambda s, t, m: attention_scores(scored(s), scored(t), m),
    "attention-kl": lambda s, t, m: attention_kl(scored(s), scored(t), m),
}


def scored(states: Tensor) -> Tensor:
    """Scores of two heads, as attention makes them."""
    parts = states.unflatten(2, (2, -1)).transpose(1, 2)
    return parts @ parts.transpose(2, 3)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("filled", [7.0, 1e6, -1e6])
def test_what_stands_in_padding_changes_neither_loss_nor_gradient(name: str, filled: float) -> None:
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])
    padding = (mask == 0)[:, :, None]
    found = []
    for value in (0.0, filled):
        student = drawn(0, 3, 5, 4).masked_fill(padding, value).requires_grad_()
        teacher = drawn(1, 3, 5, 4).masked_fill(padding, -value / 3)
        loss = MASKED[name](student, teacher, mask)
        (gradient,) = torch.autograd.grad(loss, student)
        found.append((loss.detach(), gradient))
        assert not gradient.masked_select(padding).any()
        assert gradient.abs().sum() > 0
    torch.testing.assert_close(found[0], found[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", MASKED)
def test_a_text_counts_the_same_with_any_padding(name: str) -> None:
    """A batch filled up by three more is worth what it was; so is a mask of ones beside none."""
    student, teacher = drawn(0, 2, 4, 4), drawn(1, 2, 4, 4)
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    want = MASKED[name](student, teacher, mask)
    longer = [torch.nn.functional.pad(each, (0, 0, 0, 3), value=5.0) for each in (student, teacher)]
    got = MASKED[name](*longer, torch.nn.functional.pad(mask, (0, 3)))
    torch.testing.assert_close(got, want, rtol=1e-12, atol=0)
    torch.testing.assert_close(
        MASKED[name](student, teacher, torch.ones_like(mask)),
        MASKED[name](student, teacher, None),
        rtol=1e-12,
        atol=0,
    )


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_of_other_tokens_is_refused_or_none_of_these(name: str) -> None:
    student, teacher = drawn(0, 2, 4, 4), drawn(1, 2, 4, 4)
    other = torch.ones(2, 3, dtype=torch.int64)
    if name in ("fitnet", "cosine", "patient"):  # features that are no tokens, as maps are none
        assert MASKED[name](student, teacher, other) == MASKED[name](student, teacher, None)
        return
    with pytest.raises(ValueError, match="want one of the same tokens"):
        MASKED[name](student, teacher, other)


@pytest.mark.parametrize("name", MASKED)
def test_texts_without_a_token_count_for_nothing(name: str) -> None:
    student, teacher = drawn(0, 2, 4, 4).requires_grad_(), drawn(1, 2, 4, 4)
    loss = MASKED[name](student, teacher, torch.zeros(2, 4, dtype=torch.int64))
    loss.backward()
    assert float(loss.detach()) == 0
    assert student.grad is not None and not student.grad.any()


def test_margins_and_scores_of_a_batch_are_those_of_its_triplets() -> None:
    student, teacher = drawn(0, 5, 3).requires_grad_(), drawn(1, 5, 6)
    pairs = torch.tensor([[4.0, 0], [9, 0], [4, 1], [7, 0], [9, 1]])  # 0-2, 1-4, and 3 alone
    ours, theirs = student @ student.T, teacher @ teacher.T
    partner = {0: 2, 2: 0, 1: 4, 4: 1}
    each = [
        ((ours[q, p] - ours[q, n]) - (theirs[q, p] - theirs[q, n])) ** 2
        for q, p in partner.items()
        for n in set(range(5)) - {q, p}
    ]
    torch.testing.assert_close(margin_mse(student, teacher, pairs), torch.stack(each).mean())
    kl = []
    for q in partner:
        others = [n for n in range(5) if n != q]
        p, s = (torch.log_softmax(m[q, others] / 2, 0) for m in (theirs, ours))
        kl.append(4 * (p.exp() * (p - s)).sum())
    found = score_kl(student, teacher, pairs, temperature=2.0)
    torch.testing.assert_close(found, torch.stack(kl).mean())
    alone = torch.arange(5.0)[:, None]
    assert float(margin_mse(student, teacher, alone).detach()) == 0
    assert float(score_kl(student, teacher, alone).detach()) == 0
    with pytest.raises(ValueError, match="want two"):
        margin_mse(student, teacher[:4], pairs)
