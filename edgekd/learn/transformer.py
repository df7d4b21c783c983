"""A transformer over tokens (Vaswani et al. 2017, arXiv:1706.03762), of which builders read what they want.

Norms stand before the layers (Xiong et al. 2020, arXiv:2002.04745). Attention is written out as linear layers, matrix
products and a softmax, which a quantizer can tell apart.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from edgekd.learn.cache import MASKED
from edgekd.learn.cache import Cache
from edgekd.learn.cache import CacheSizes
from edgekd.learn.cache import block_places
from edgekd.learn.decoder_parts import DecoderParts
from edgekd.learn.decoder_parts import LayerParts

_DEVIATION = 0.02
"""Of the initial weights (Devlin et al. 2019, arXiv:1810.04805)."""
Read = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]
"""The last layer, states [B, N, D] and the mask [B, N] to what a network gives."""


class TransformerSizes(NamedTuple):
    """Sizes of a network over tokens."""

    vocabulary: int
    """How many tokens there are."""
    longest: int
    """Tokens of the longest text."""
    layers: int
    """Of attention."""
    width: int
    """Numbers a token."""
    heads: int
    """Of the attention; they divide `width`."""
    types: int = 1
    """Of tokens: of the first and the second of two texts."""


class _Attention(nn.Module):
    """Self-attention of several heads, in which no token sees what is blocked."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (width // heads) ** -0.5
        self.scores = nn.Identity()  # a place where they can be read
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.project = nn.Linear(width, width)

    def forward(
        self, tokens: torch.Tensor, blocked: torch.Tensor, cache: Cache | None = None
    ) -> torch.Tensor:
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [B, heads, N, w/heads]
            for layer in (self.query, self.key, self.value)
        )
        if cache is not None:
            key, value = cache.append(key, value)
        scores = self.scores(torch.matmul(query * self.scale, key.transpose(2, 3)))
        scores = scores.masked_fill(blocked, MASKED)
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

    def forward(
        self, tokens: torch.Tensor, blocked: torch.Tensor, cache: Cache | None = None
    ) -> torch.Tensor:
        tokens = tokens + self.attention(self.norm1(tokens), blocked, cache)
        return tokens + self.mlp(self.norm2(tokens))

    def read_parts(self) -> LayerParts:
        """Return what it is made of."""
        layer = self.attention
        linear = (layer.query, layer.key, layer.value, layer.project)
        return LayerParts(self.norm1, *linear, self.norm2, self.mlp)


class Transformer(nn.Module):
    """Learned positions, layers, a norm, and a last layer that `read` asks."""

    def __init__(self, sizes: TransformerSizes, last: int, read: Read, *, causal: bool) -> None:
        super().__init__()
        vocabulary, longest, layers, width, heads, types = sizes
        self.words = nn.Embedding(vocabulary, width)
        self.types = nn.Embedding(types, width) if types > 1 else None
        self.positions = nn.Parameter(torch.zeros(longest, width))
        self.layers = nn.ModuleList(_Layer(width, heads, 4 * width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, last)
        self.last_size = last
        self.read = read
        self.causal = causal

    def forward(
        self, tokens: torch.Tensor, mask: torch.Tensor, types: torch.Tensor | None = None
    ) -> torch.Tensor:
        states = self.words(tokens) + self.positions[: tokens.shape[1]]
        if self.types is not None:
            states = states + self.types(types)
        blocked = (mask == 0)[:, None, None, :]
        if self.causal:
            order = torch.arange(tokens.shape[1], device=tokens.device)
            blocked = blocked | (order[None, :] > order[:, None])
        for layer in self.layers:
            states = layer(states, blocked)
        return self.read(self.classifier, self.norm(states), mask)

    def cache_sizes(self) -> CacheSizes | None:
        """Return what `decode` keeps of a token; None of an encoder, whose tokens see those after them."""
        attention = self.layers[0].attention
        assert isinstance(attention, _Attention)
        heads = attention.heads
        width, longest = self.positions.shape[1], self.positions.shape[0]
        return CacheSizes(len(self.layers), heads, width // heads, longest) if self.causal else None

    def read_parts(self) -> DecoderParts:
        """Return its parts.

        Raises:
            ValueError: of an encoder, which keeps nothing.
        """
        sizes = self.cache_sizes()
        if sizes is None:
            raise ValueError("an encoder keeps nothing")
        return DecoderParts(
            embedding=self.words,
            places=self.positions,
            rotary=None,
            layers=tuple(layer.read_parts() for layer in self.layers),
            norm=self.norm,
            head=self.classifier,
            heads=sizes.heads,
            scale=sizes.head_size**-0.5,
            sizes=sizes,
            logits=self.last_size,
        )

    def decode(
        self, tokens: torch.Tensor, mask: torch.Tensor, past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """The logits of tokens [B, N] behind P earlier ones, and the keys and values of all, layer by layer.

        Args:
            tokens: the new ones.
            mask: of all [B, P + N], 1 where there is no padding, which may stand on either side.
            past: keys and values [B, heads, P, D] of each layer.
        """
        count = tokens.shape[1]
        places = (mask.cumsum(1) - 1).clamp_min(0)[:, mask.shape[1] - count :]
        states = self.words(tokens) + nn.functional.embedding(places, self.positions)
        blocked = block_places(mask, count)
        present: list[torch.Tensor] = []
        for number, layer in enumerate(self.layers):
            cache = Cache(past[2 * number], past[2 * number + 1])
            states = layer(states, blocked, cache)
            present += [cache.key, cache.value]
        return self.read(self.classifier, self.norm(states), mask), *present


def pool_mean(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean [B, D] over the tokens that are no padding; zeros where there is none."""
    counts = mask.to(states.dtype)[:, :, None]
    return (states * counts).sum(1) / counts.sum(1).clamp_min(1)


def read_mean(last: nn.Module, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The last layer of the mean of a text, [B, C]."""
    logits: torch.Tensor = last(pool_mean(states, mask))
    return logits


def read_each(last: nn.Module, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The last layer of every token, [B, N, C]."""
    logits: torch.Tensor = last(states)
    return logits


def read_direction(last: nn.Module, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The last layer of the mean of a text, of length 1, [B, C]."""
    vector = read_mean(last, states, mask)
    return vector / vector.square().sum(1, keepdim=True).clamp_min(1e-12).sqrt()


def build_transformer(
    sizes: TransformerSizes, last: int, read: Read, *, causal: bool = False
) -> nn.Module:
    """A freshly initialised network.

    Args:
        sizes: of the network.
        last: numbers that the last layer gives.
        read: how they are made of states.
        causal: whether a token sees only those before it.

    Raises:
        ValueError: if the heads do not divide the width.
    """
    if sizes.width % sizes.heads:
        raise ValueError(f"heads: got {sizes.heads}, want a divisor of width {sizes.width}")
    model = Transformer(sizes, last, read, causal=causal)
    nn.init.trunc_normal_(model.positions, std=_DEVIATION)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.trunc_normal_(module.weight, std=_DEVIATION)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    return model
