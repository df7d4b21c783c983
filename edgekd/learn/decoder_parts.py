"""What a decoder is made of, read from the network, so that it can be written as an engine's fused operators."""

from __future__ import annotations

from typing import NamedTuple
from typing import Protocol
from typing import runtime_checkable

import torch
from torch import nn

from edgekd.learn.cache import CacheSizes


class LayerParts(NamedTuple):
    """One layer: attention and a feed-forward network, each behind a norm, each added to its input."""

    attention_norm: nn.Module
    query: nn.Module
    key: nn.Module
    value: nn.Module
    project: nn.Module
    forward_norm: nn.Module
    feed_forward: nn.Module
    query_norm: nn.Module | None = None
    """Of each head, before it is turned by its place."""
    key_norm: nn.Module | None = None


class Rotary(NamedTuple):
    """Cosine and sine [longest, head_size / 2] by which halves of a head are turned (Su et al. 2021,
    arXiv:2104.09864)."""

    cosine: torch.Tensor
    sine: torch.Tensor


class DecoderParts(NamedTuple):
    """A whole decoder; a network with anything else in it cannot be told so."""

    embedding: nn.Module
    places: nn.Parameter | None
    """Learned positions [longest, width], if they are added."""
    rotary: Rotary | None
    layers: tuple[LayerParts, ...]
    norm: nn.Module
    head: nn.Module
    heads: int
    """Of queries."""
    scale: float
    """Of the products of queries and keys."""
    sizes: CacheSizes
    logits: int
    """How many of the head's count, from the first."""


@runtime_checkable
class Readable(Protocol):
    """A decoder that tells its parts."""

    def read_parts(self) -> DecoderParts:
        """Return its parts; raises ValueError where they cannot be told."""
