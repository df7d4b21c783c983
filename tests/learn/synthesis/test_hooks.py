"""What is seen inside is what a plain pass by hand would give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.models.vit import vit
from edgekd.learn.synthesis import hooks


def test_moments_means_and_embedding_by_hand() -> None:
    torch.manual_seed(0)
    conv, norm, head = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 5)
    model = nn.Sequential(conv, norm, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    norm.running_mean = torch.tensor([1.0, 2.0, 3.0])
    images = torch.randn(4, 1, 6, 6)
    model.eval()
    seen, inside = hooks.record_teacher(model, images), conv(images)
    (moments,) = seen.moments
    assert torch.allclose(moments.mean, inside.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(moments.variance, inside.var((0, 2, 3), correction=0), atol=1e-6)
    assert torch.equal(moments.running_mean, torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(moments.running_variance, torch.ones(3))
    assert seen.means is not None and torch.allclose(seen.means, inside.mean((2, 3)), atol=1e-6)
    assert seen.embedding is not None
    assert torch.allclose(head(seen.embedding), seen.logits, atol=1e-6)
    assert not any(module._forward_pre_hooks for module in model.modules())
    images = images.requires_grad_()
    hooks.record_teacher(model, images).moments[0].mean.sum().backward()
    assert images.grad is not None and float(images.grad.norm()) > 0


def test_a_head_that_is_a_convolution_and_none_at_all() -> None:
    convolved = nn.Sequential(nn.Conv2d(1, 5, 1), nn.ReLU(), nn.Conv2d(5, 5, 1), nn.Flatten())
    seen = hooks.record_teacher(convolved, torch.ones(2, 1, 1, 1))
    assert seen.embedding is not None and seen.embedding.shape == (2, 5)
    assert torch.equal(
        seen.embedding, convolved[1](convolved[0](torch.ones(2, 1, 1, 1)))[..., 0, 0]
    )
    assert seen.moments == () and seen.means is None
    assert hooks.record_teacher(nn.Flatten(), torch.ones(2, 1, 2, 2)).embedding is None


def test_a_batch_norm_that_remembers_nothing_is_left_out() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1, track_running_stats=False), nn.Flatten())
    assert hooks.record_teacher(model.eval(), torch.randn(2, 1, 2, 2)).moments == ()


def test_tokens() -> None:
    model = vit(classes=5, channels=1, height=8, width=8, dim=12, depth=1, heads=2).eval()
    seen = hooks.record_teacher(model, torch.randn(3, 1, 8, 8))
    assert seen.embedding is not None and seen.embedding.shape == (3, 12)


def test_hooks_are_gone_after_a_failure() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Linear(3, 2)).eval()
    with pytest.raises(RuntimeError):
        hooks.record_teacher(model, torch.ones(2, 1, 2, 2))
    assert not any(module._forward_pre_hooks for module in model.modules())
