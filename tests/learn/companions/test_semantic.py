"""The semantic companion: attention sample by sample, pairs on the smaller map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.companions.semantic import semantic
from edgekd.learn.losses.relation.cross_layer import semckd

OURS = ((4, 3, 8, 8), (4, 5, 4, 4))
THEIRS = ((4, 4, 8, 8), (4, 6, 4, 4), (4, 7, 2, 2))


def made(**knobs: float) -> nn.Module:
    torch.manual_seed(3)
    return semantic(OURS, THEIRS, **knobs)


def stages(batch: int = 4) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    return tuple(
        tuple(torch.randn(batch, *s[1:], generator=generator, requires_grad=True) for s in side)
        for side in (OURS, THEIRS)
    )


def test_attention_sample_by_sample() -> None:
    module, (student, teacher) = made(factor=2, softness=0.7), stages()
    given = module(student, teacher)["attention"]
    embedded = []
    for stage, embed in zip((*student, *teacher), (*module.queries, *module.keys), strict=True):
        rows = []
        for a in stage:
            products = torch.stack([(a * b).sum() for b in stage])
            hidden = (embed[0].weight @ products + embed[0].bias).relu()
            row = embed[2].weight @ hidden + embed[2].bias
            rows.append(row / row.norm())
        embedded.append(rows)
    for b in range(4):
        for s in range(2):
            energy = torch.stack([(embedded[s][b] * embedded[2 + t][b]).sum() for t in range(3)])
            assert torch.allclose(given[b, s], (energy / 0.7).softmax(0), atol=1e-5)
    assert module.queries[0][2].out_features == 2


def test_pairs_meet_on_the_smaller_map_as_wide_as_the_teacher() -> None:
    module, (student, teacher) = made().eval(), stages()
    given = module(student, teacher)
    sides = [(8, 4), (4, 6), (2, 7), (4, 4), (4, 6), (2, 7)]
    for side, wide, one, other in zip(
        *zip(*sides, strict=True), given["student_stages"], given["teacher_stages"], strict=True
    ):
        assert tuple(one.shape) == tuple(other.shape) == (4, wide, side, side)
    # Student stage 1 with teacher stage 0: the teacher's map is the larger.
    assert torch.allclose(given["teacher_stages"][3], F.avg_pool2d(teacher[0], 2), atol=1e-6)
    alone = module.projections[2](F.avg_pool2d(student[0], 4))
    assert torch.allclose(given["student_stages"][2], alone, atol=1e-5)


def test_gradients_reach_the_student_and_all_that_is_learnt_but_not_the_teacher() -> None:
    module, (student, teacher) = made(), stages()
    semckd(**module(student, teacher)).backward()
    assert all(stage.grad is not None for stage in student)
    assert all(stage.grad is None for stage in teacher)
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in module.parameters())


def test_a_smaller_batch_is_one_with_samples_at_zero() -> None:
    module, (student, teacher) = made().eval(), stages()
    less = [[stage[:3] for stage in side] for side in (student, teacher)]
    full = [
        [torch.cat([stage[:3], torch.zeros_like(stage[3:])]) for stage in side]
        for side in (student, teacher)
    ]
    short, whole = (module(*side)["attention"] for side in (less, full))
    assert torch.allclose(short, whole[:3], atol=1e-6)
    more = [[torch.cat([stage, stage]) for stage in side] for side in (student, teacher)]
    with pytest.raises(ValueError, match="got a batch of 8, want at most 4"):
        module(*more)


def test_zeros_are_finite_in_evaluation_and_change_nothing() -> None:
    module = made().eval()
    was = {k: v.clone() for k, v in module.state_dict().items()}
    zeros = [[torch.zeros(shape) for shape in side] for side in (OURS, THEIRS)]
    assert bool(semckd(**module(*zeros)).isfinite())
    assert all(torch.equal(was[k], v) for k, v in module.state_dict().items())


def test_stages_that_are_no_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="want stages"):
        semantic(((4, 3),), THEIRS)
    with pytest.raises(ValueError, match="got no stages"):
        semantic((), THEIRS)
