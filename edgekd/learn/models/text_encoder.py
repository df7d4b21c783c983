"""A transformer encoder over tokens (Vaswani et al. 2017, arXiv:1706.03762; Devlin et al. 2019, arXiv:1810.04805).

Norms stand before the layers (Xiong et al. 2020, arXiv:2002.04745), and classes are read from the mean of all tokens
that are no padding. Attention is written out as linear layers, matrix products and a softmax, which a
quantizer can tell apart.
"""

from __future__ import annotations

import torch
from torch import nn

from edgekd.settings import Count

MASKED = -1e4
"""The score of padding, of which no share is left; half precision and bfloat16 hold it, in a traced model, too."""
_DEVIATION = 0.02
"""Of the initial weights (Devlin et al. 2019)."""


class _Attention(nn.Module):
    """Self-attention of several heads, of which padding is no part."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.scores = nn.Identity()  # a place where they can be read
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, w/heads]
            for layer in (self.query, self.key, self.value)
        )
        scores = self.scores(torch.matmul(query * self.scale, key.transpose(2, 3)))
        scores = scores.masked_fill(padding, MASKED)
        mixed = torch.matmul(torch.softmax(scores, dim=3), value)
        return self.project(mixed.transpose(1, 2).flatten(2))


class _Layer(nn.Module):
    """Attention, then two linear layers; each after a norm, each added to its input."""

    def __init__(self, width: int, heads: int, inside: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = _Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, inside), nn.GELU(), nn.Linear(inside, width))

    def forward(self, tokens: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.norm1(tokens), padding)
        return tokens + self.mlp(self.norm2(tokens))


class _TextEncoder(nn.Module):
    def __init__(
        self, vocabulary: int, longest: int, classes: int, layers: int, width: int, heads: int
    ) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(longest, width))
        self.layers = nn.ModuleList(_Layer(width, heads, 4 * width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, classes)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        found = self.words(tokens) + self.positions[: tokens.shape[1]]
        padding = (mask == 0)[:, None, None, :]
        for layer in self.layers:
            found = layer(found, padding)
        counts = mask.to(found.dtype)[:, :, None]
        pooled = (self.norm(found) * counts).sum(1) / counts.sum(1).clamp_min(1)
        logits: torch.Tensor = self.classifier(pooled)
        return logits


def text_encoder(
    *,
    classes: Count,
    vocabulary: Count,
    longest: Count,
    layers: Count = 4,
    width: Count = 128,
    heads: Count = 4,
) -> nn.Module:
    """A transformer encoder with learned positions and a classifier over the mean of its tokens.

    Args:
        classes: how many logits.
        vocabulary: how many tokens there are.
        longest: tokens of the longest text.
        layers: of attention.
        width: numbers a token.
        heads: of the attention; they divide `width`.

    Returns:
        A model from int64 tokens [B, N] and their mask [B, N], 1 where there is no padding, to logits [B, classes].

    Raises:
        ValueError: if `heads` does not divide `width`.
    """
    if width % heads:
        raise ValueError(f"heads: got {heads}, want a divisor of width {width}")
    model = _TextEncoder(vocabulary, longest, classes, layers, width, heads)
    nn.init.trunc_normal_(model.positions, std=_DEVIATION)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=_DEVIATION)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return model
