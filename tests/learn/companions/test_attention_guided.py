"""The attention companion: channels and places by hand, the teacher's without anything learnt."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.companions.attention_guided import attention_guided
from edgekd.learn.companions.attention_guided import refine
from edgekd.learn.losses.attention.maps import attnfd

OURS, THEIRS = (3, 4, 8, 8), (3, 5, 4, 4)


def made(**knobs: int) -> nn.Module:
    torch.manual_seed(3)
    return attention_guided(OURS, THEIRS, **knobs)


def maps() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(s, generator=generator, requires_grad=True) for s in (OURS, THEIRS))


def test_the_teacher_place_by_place() -> None:
    _, teacher = maps()
    for made_of, sample in zip(refine(teacher), teacher, strict=True):
        scaled = [c * torch.sigmoid(c.mean() + c.max()) for c in sample]
        for h in range(4):
            for w in range(4):
                place = torch.stack([c[h, w] for c in scaled])
                want = place * torch.sigmoid(place.max() + place.mean())
                assert torch.allclose(made_of[:, h, w], want, atol=1e-6)


def test_the_student_by_its_layers() -> None:
    module, (student, teacher) = made(reduction=2).eval(), maps()
    first, _, second = module.channel
    assert first.out_features == 2
    pooled = F.avg_pool2d(student, 2)
    scale = 0.0
    for vector in (pooled.mean((2, 3)), pooled.flatten(2).max(2).values):
        hidden = (vector @ first.weight.T + first.bias).relu()
        scale = scale + hidden @ second.weight.T + second.bias
    x = pooled * torch.sigmoid(scale)[:, :, None, None]
    stacked = torch.cat([x.max(1, keepdim=True).values, x.mean(1, keepdim=True)], 1)
    place = F.conv2d(stacked, module.place[0].weight, padding=3) / (1 + 1e-5) ** 0.5
    want = F.conv2d(x * place.sigmoid(), module.connect[0].weight) / (1 + 1e-5) ** 0.5
    given = module(student, teacher)
    assert torch.allclose(given["student_features"], want, atol=1e-5)
    assert torch.allclose(given["teacher_features"], refine(teacher), atol=1e-6)


def test_gradients_reach_the_student_and_all_that_is_learnt_but_not_the_teacher() -> None:
    module, (student, teacher) = made(reduction=1), maps()
    attnfd(**module(student, teacher)).backward()
    assert student.grad is not None and teacher.grad is None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_zeros_in_evaluation_change_nothing() -> None:
    module, (student, teacher) = made().eval(), maps()
    was = {k: v.clone() for k, v in module.state_dict().items()}
    assert bool(attnfd(**module(student * 0, teacher * 0)).isfinite())
    assert all(torch.equal(was[k], v) for k, v in module.state_dict().items())
    with pytest.raises(ValueError, match=r"want \[B, C, H, W\]"):
        attention_guided((2, 3), (2, 3))
