"""The vision transformer: parameters by hand, attention against torch's own, images of any side."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.complexity import count_parameters
from edgekd.learn.models.vit import vit

IMAGE = {"channels": 3, "height": 32, "width": 32}

# Touvron et al. 2021, DeiT-Ti: 5,717,416 parameters with a class token and its position (192 each).
PUBLISHED_WITHOUT_TOKEN = 5_717_416 - 2 * 192


def test_published_parameters() -> None:
    model = vit(classes=1000, channels=3, height=224, width=224, patch=16, dim=192, depth=12)
    assert count_parameters(model) == PUBLISHED_WITHOUT_TOKEN


@pytest.mark.parametrize("patch, dim, depth", [(4, 96, 6), (8, 48, 2)])
def test_parameters(patch: int, dim: int, depth: int) -> None:
    layer = 4 * (dim * dim + dim) + (dim * 4 * dim + 4 * dim) + (4 * dim * dim + dim) + 4 * dim
    total = 3 * patch**2 * dim + dim + (32 // patch) ** 2 * dim + depth * layer
    total += 2 * dim + dim * 100 + 100
    model = vit(classes=100, **IMAGE, patch=patch, dim=dim, depth=depth)
    assert count_parameters(model) == total


def test_attention_is_torchs() -> None:
    torch.manual_seed(0)
    own = vit(classes=2, **IMAGE, dim=12, depth=1).layers[0].attention
    theirs = nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        for parameter in own.parameters():
            parameter.normal_()
        parts = (own.query, own.key, own.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(own.project.state_dict())
        tokens = torch.randn(2, 7, 12)
        want = theirs(tokens, tokens, tokens, need_weights=False)[0]
        torch.testing.assert_close(own(tokens), want)


def test_it_is_told_where_a_patch_is() -> None:
    torch.manual_seed(0)
    model = vit(classes=5, channels=1, height=8, width=8, dim=12, depth=1).eval()
    image = torch.randn(1, 1, 8, 8)
    swapped = torch.cat([image[:, :, 4:], image[:, :, :4]], 2)
    with torch.no_grad():
        assert not torch.allclose(model(image), model(swapped), atol=1e-5)
        model.positions.zero_()
        assert torch.allclose(model(image), model(swapped), atol=1e-5)


def test_patches_that_do_not_divide() -> None:
    model = vit(classes=2, channels=1, height=9, width=6, dim=12, depth=1).eval()
    assert model.positions.shape == (1, 3 * 2, 12)
    image = torch.zeros(1, 1, 9, 6)
    image[:, :, 8:] = 1.0  # the last row, which only the padded patches hold
    with torch.no_grad():
        assert not torch.allclose(model(image), model(torch.zeros_like(image)), atol=1e-6)


def test_heads_divide() -> None:
    with pytest.raises(ValueError, match="divisor"):
        vit(classes=2, **IMAGE, dim=96, heads=5)
