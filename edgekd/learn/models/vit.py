"""A vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) for small images.

Patches of 4x4 and few layers, as in Lee et al. 2021 (arXiv:2112.13492); the class is read from the mean of
all tokens in place of a token of its own (Beyer et al. 2022, arXiv:2205.01580). Attention is
written out as linear layers, matrix products and a softmax, which a quantizer can tell apart.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from edgekd.settings import Count
from edgekd.settings import Depth

Shape = tuple[int, int, int]
"""Channels, height, width of an image."""
_DEVIATION = 0.02
"""Of the initial weights and positions (Touvron et al. 2021, arXiv:2012.12877)."""


class _Attention(nn.Module):
    """Self-attention of several heads (Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2.2)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.scores = nn.Identity()  # a place where they can be read
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.project = nn.Linear(dim, dim)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, dim/heads]
            for layer in (self.query, self.key, self.value)
        )
        scores = self.scores(torch.matmul(query * self.scale, key.transpose(2, 3)))
        mixed = torch.matmul(torch.softmax(scores, dim=3), value)
        return self.project(mixed.transpose(1, 2).flatten(2))


class _Layer(nn.Module):
    """Attention, then two linear layers; each after a norm, each added to its input."""

    def __init__(self, dim: int, heads: int, inside: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attention = _Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, inside), nn.GELU(), nn.Linear(inside, dim))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class _ViT(nn.Module):
    def __init__(
        self, patch: int, dim: int, depth: int, heads: int, expand: int, classes: int, image: Shape
    ) -> None:
        super().__init__()
        channels, height, width = image
        rows, columns = math.ceil(height / patch), math.ceil(width / patch)
        below, right = rows * patch - height, columns * patch - width
        self.pad = nn.ZeroPad2d((0, right, 0, below)) if below or right else nn.Identity()
        self.patches = nn.Conv2d(channels, dim, patch, patch)
        self.positions = nn.Parameter(torch.zeros(1, rows * columns, dim))
        self.layers = nn.Sequential(*(_Layer(dim, heads, expand * dim) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(self.pad(images)).flatten(2).transpose(1, 2) + self.positions
        return self.classifier(self.norm(self.layers(tokens)).mean(1))


def vit(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    patch: Count = 4,
    dim: Count = 96,
    depth: Depth = 6,
    heads: Count = 3,
    expand: Count = 4,
) -> nn.Module:
    """A vision transformer with learned positions and norms before the layers.

    An image that the patches do not divide is filled up with zeros below and on the right.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        patch: side of a patch, in pixels.
        dim: numbers a token.
        depth: layers.
        heads: of the attention; they divide `dim`.
        expand: how many times wider the two linear layers are inside.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        ValueError: if `heads` does not divide `dim`.
    """
    if dim % heads:
        raise ValueError(f"heads: got {heads}, want a divisor of dim {dim}")
    model = _ViT(patch, dim, depth, heads, expand, classes, (channels, height, width))
    _initialise(model)
    return model


def _initialise(model: _ViT) -> None:
    """Linear weights and positions from a narrow normal, biases 0; the patches as torch does."""
    nn.init.trunc_normal_(model.positions, std=_DEVIATION)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=_DEVIATION)
            nn.init.zeros_(module.bias)
