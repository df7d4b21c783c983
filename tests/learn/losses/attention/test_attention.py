"""Attention and mask losses against reference values, slow versions and identities, in float64.

The golden inputs, k row-major from 0: sin(.37 k) and cos(.23 k) + .5 sin(.11 k), shape (4, 6, 4, 4); the
gradient is compared by its norm and along cos(.37 k + .2). `factor` is what the reference multiplies by.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.losses.attention import LOSSES
from edgekd.learn.losses.attention.maps import attnfd
from edgekd.learn.losses.attention.maps import spatial_affinity
from edgekd.learn.losses.attention.masks import maskd
from edgekd.learn.losses.attention.masks import mgd
from edgekd.learn.losses.attention.tokens import attention_kl
from edgekd.learn.losses.attention.tokens import attention_scores
from edgekd.learn.losses.attention.tokens import minilm

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())
K = torch.arange(384, dtype=torch.float64)


def maps() -> tuple[Tensor, Tensor]:
    student = torch.sin(0.37 * K).reshape(4, 6, 4, 4).requires_grad_()
    teacher = torch.cos(0.23 * K) + 0.5 * torch.sin(0.11 * K)
    return student, teacher.reshape(4, 6, 4, 4).requires_grad_()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def looked(student: Tensor, teacher: Tensor) -> Tensor:
    """`maskd` with masks and weights of its own."""
    masks = torch.linspace(0, 1, 4 * 3 * 16).reshape(4, 3, 4, 4).to(teacher)[: len(teacher)]
    weights = torch.tensor([[0.2, 0.3, 0.5]] * len(teacher)).to(teacher)
    return maskd(student, teacher, masks, weights, student.new_zeros(()))


def related(student: Tensor, teacher: Tensor) -> Tensor:
    """`minilm` of maps as tokens."""
    tokens = [m.flatten(2).transpose(1, 2) for m in (student, teacher)]
    return minilm(*tokens, heads=2)


EVERY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mgd": mgd,
    "maskd": looked,
    "attnfd": attnfd,
    "spatial-affinity": spatial_affinity,
    "attention-scores": attention_scores,
    "attention-kl": attention_kl,
    "minilm": related,
}


def test_every_loss_is_here() -> None:
    assert set(EVERY) == set(LOSSES)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda c: f"{c['loss']} {c['knobs']}")
def test_value_and_gradient_are_the_reference_s(case: dict[str, Any]) -> None:
    student, teacher = maps()
    value = LOSSES[case["loss"]].load()(student, teacher, **case["knobs"]) * case.get("factor", 1.0)
    value.backward()
    assert student.grad is not None
    assert value.item() == pytest.approx(case["value"], rel=1e-9)
    assert student.grad.norm().item() == pytest.approx(case["l2"], rel=1e-6)
    along = (student.grad.flatten() * torch.cos(0.37 * K + 0.2)).sum().item()
    assert along == pytest.approx(case["directional"], rel=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_the_teacher_does_not_move(name: str) -> None:
    student, teacher = maps()
    EVERY[name](student, teacher).backward()
    assert student.grad is not None and student.grad.norm().item() > 0
    assert teacher.grad is None


@pytest.mark.parametrize("name", EVERY)
def test_a_copy_of_the_teacher_has_nothing_to_learn(name: str) -> None:
    _, teacher = maps()
    student = teacher.detach().clone().requires_grad_()
    value = EVERY[name](student, teacher)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-12)
    assert student.grad is not None and student.grad.abs().max().item() < 1e-9


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"maskd"}))
def test_the_order_of_the_batch_does_not_matter(name: str) -> None:
    (student, teacher), order = maps(), torch.tensor([2, 0, 3, 1])
    was = EVERY[name](student, teacher).item()
    assert EVERY[name](student[order], teacher[order]).item() == pytest.approx(was, rel=1e-12)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_at_extremes_and_in_half_precision(name: str, dtype: torch.dtype) -> None:
    size = 1e4 if dtype != torch.float16 else 1e2
    student, teacher = ((size * m.detach()).to(dtype).requires_grad_() for m in maps())
    value = EVERY[name](student, teacher)
    value.backward()
    assert student.grad is not None
    assert value.isfinite() and bool(student.grad.isfinite().all())
    if name != "maskd":
        assert value.dtype == torch.float32


@pytest.mark.parametrize("name", EVERY)
def test_half_precision_is_near_double(name: str) -> None:
    student, teacher = maps()
    rounded = EVERY[name](student.half(), teacher.half())
    assert rounded.item() == pytest.approx(EVERY[name](student, teacher).item(), rel=2e-2)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("both", [True, False])
def test_finite_where_all_is_zero(name: str, both: bool) -> None:
    _, teacher = maps()
    student = torch.zeros_like(teacher).requires_grad_()
    value = EVERY[name](student, torch.zeros_like(teacher) if both else teacher)
    value.backward()
    assert student.grad is not None
    assert bool(value.isfinite()) and student.grad.abs().max().item() < 1e4


@pytest.mark.parametrize("name", EVERY)
def test_shapes_that_differ_are_refused(name: str) -> None:
    student, teacher = maps()
    with pytest.raises(ValueError, match=r"want two \[B"):
        EVERY[name](student[:2], teacher)


def test_maskd_token_by_token() -> None:
    student, teacher = drawn(2, 3, 2, 2), drawn(2, 3, 2, 2, seed=1)
    masks, weights = drawn(2, 4, 2, 2, seed=2).sigmoid(), drawn(2, 4, seed=3).softmax(1)
    want = 0.0
    for b in range(2):
        for t in range(4):
            area = masks[b, t].sum()
            for c in range(3):
                apart = masks[b, t] * student[b, c] - masks[b, t] * teacher[b, c]
                want += float(weights[b, t] * (apart**2).sum() / area / 3 / 2)
    own = torch.tensor(0.75, dtype=torch.float64)
    value = maskd(student, teacher, masks, weights, own)
    assert value.item() == pytest.approx(want + 0.75, rel=1e-12)
    order = torch.tensor([1, 0])
    turned = maskd(student[order], teacher[order], masks[order], weights[order], own)
    assert turned.item() == pytest.approx(value.item(), rel=1e-12)


def test_maskd_does_not_move_masks() -> None:
    student, teacher = maps()
    masks = torch.full((4, 2, 4, 4), 0.5, dtype=torch.float64, requires_grad=True)
    weights = torch.full((4, 2), 0.5, dtype=torch.float64, requires_grad=True)
    own = torch.ones((), dtype=torch.float64, requires_grad=True)
    maskd(student, teacher, masks, weights, own).backward()
    assert masks.grad is None and weights.grad is None
    assert own.grad is not None and own.grad.item() == 1
    with pytest.raises(ValueError, match="want masks"):
        maskd(student, teacher, masks[:, :, :2], weights, own)
    with pytest.raises(ValueError, match="want masks"):
        maskd(student, teacher, masks, weights[:, :1], own)


def test_attnfd_is_twice_one_less_the_cosine() -> None:
    student, teacher = maps()
    cosine = F.cosine_similarity(student.flatten(1), teacher.flatten(1))
    assert attnfd(student, teacher).item() == pytest.approx(2 - 2 * cosine.mean().item(), rel=1e-12)
    assert attnfd(3 * teacher, teacher).item() == pytest.approx(0, abs=1e-12)


def test_spatial_affinity_place_by_place() -> None:
    student, teacher = drawn(2, 3, 2, 2), drawn(2, 3, 2, 2, seed=1)
    student[0, 0] = 0  # a channel that is dead in the student alone
    want = 0.0
    for b in range(2):
        for c in range(3):
            u, v = student[b, c].flatten(), teacher[b, c].flatten()
            u = u / u.norm() if u.norm() > 0 else u
            want += float((torch.outer(u, u) - torch.outer(v / v.norm(), v / v.norm())).norm())
    assert spatial_affinity(student, teacher).item() == pytest.approx(want / 4 / 2, rel=1e-12)
    scaled = teacher * torch.tensor([2.0, -3.0, 0.5]).reshape(1, 3, 1, 1)
    assert spatial_affinity(scaled, teacher).item() == pytest.approx(0, abs=1e-12)


def test_attention_scores_of_masked_positions_do_not_count() -> None:
    student = torch.tensor([[[[1.0, -100.0], [-0.5, -math.inf]]]], requires_grad=True)
    teacher = torch.tensor([[[[3.0, -math.inf], [-0.5, -1e9]]]])
    value = attention_scores(student, teacher)
    value.backward()
    assert value.item() == pytest.approx(1.0)
    assert student.grad is not None
    assert student.grad.flatten().tolist() == [-1.0, 0.0, 0.0, 0.0]
    assert attention_scores(student, -100 - teacher.exp()).item() == pytest.approx((1 + 0.25) / 4)


def test_minilm_relation_by_relation() -> None:
    student, teacher = drawn(2, 3, 4), drawn(2, 3, 6, seed=1)

    def relation(tokens: Tensor, sample: int, head: int, token: int) -> list[float]:
        wide = tokens.shape[2] // 2
        part = tokens[sample, :, head * wide : (head + 1) * wide]
        scores = [float(part[token] @ other) / math.sqrt(wide) for other in part]
        total = sum(math.exp(s) for s in scores)
        return [math.exp(s) / total for s in scores]

    want = 0.0
    for place in [(b, h, t) for b in range(2) for h in range(2) for t in range(3)]:
        pairs = zip(relation(teacher, *place), relation(student, *place), strict=True)
        want += sum(p * math.log(p / q) for p, q in pairs) / 12
    assert minilm(student, teacher, heads=2).item() == pytest.approx(want, rel=1e-10)
    with pytest.raises(ValueError, match="want multiples of 4 heads"):
        minilm(student, teacher, heads=4)


def test_minilm_does_not_see_a_rotation_within_heads() -> None:
    tokens = drawn(2, 3, 4)
    turned = torch.stack([-tokens[..., 1], tokens[..., 0], tokens[..., 3], -tokens[..., 2]], -1)
    assert minilm(turned, tokens, heads=2).item() == pytest.approx(0, abs=1e-12)
    assert minilm(tokens[..., [0, 2, 1, 3]], tokens, heads=2).item() > 1e-3
    assert minilm(tokens[..., [0, 2, 1, 3]], tokens, heads=1).item() == pytest.approx(0, abs=1e-12)
