"""Decoders that keep the keys and values of earlier tokens, so that a call takes the new ones alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol
from typing import runtime_checkable

import torch
from torch import nn

from edgekd.interface import Interface
from edgekd.interface import add_states

MASKED = -1e4
"""The score of what is not seen, of which no share is left; half precision and bfloat16 hold it, in a traced model, too."""


class CacheSizes(NamedTuple):
    """What a decoder keeps of each token."""

    layers: int
    heads: int
    """Of keys and values."""
    head_size: int
    longest: int
    """Tokens of the longest text, those kept and the new ones together."""


class Cache:
    """Keys and values [B, heads, P, D] of one layer during one call."""

    def __init__(self, key: torch.Tensor, value: torch.Tensor) -> None:
        self.key, self.value = key, value

    def append(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """All keys and values, those of new tokens [B, heads, N, D] behind the earlier ones."""
        self.key, self.value = torch.cat([self.key, key], 2), torch.cat([self.value, value], 2)
        return self.key, self.value


def block_places(mask: torch.Tensor, count: int) -> torch.Tensor:
    """Whether each of the last `count` tokens may not see a place: [B, 1, count, P + count] of the mask
    [B, P + count], padding and what stands behind it."""
    order = torch.arange(mask.shape[1], device=mask.device)
    behind = order[None, :] > order[mask.shape[1] - count :, None]
    return (mask == 0)[:, None, None, :] | behind


@runtime_checkable
class Decoder(Protocol):
    """A network that can go on from what it keeps."""

    def cache_sizes(self) -> CacheSizes | None:
        """Return what it keeps of a token; None if it keeps nothing."""

    def decode(
        self, tokens: torch.Tensor, mask: torch.Tensor, past: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, ...]:
        """Logits of tokens [B, N] behind P earlier ones, then keys and values [B, heads, P + N, D] of each layer, for
        the mask of all [B, P + N] and keys and values of those P."""


class CachedDecoder(nn.Module):
    """A decoder whose keys and values are further inputs and outputs."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, tokens: torch.Tensor, mask: torch.Tensor, *past: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        assert isinstance(self.decoder, Decoder)
        return self.decoder.decode(tokens, mask, past)


def find_cache_sizes(model: nn.Module) -> CacheSizes | None:
    """Return what `model` keeps of a token; None if it answers whole texts alone."""
    return model.cache_sizes() if isinstance(model, Decoder) else None


def with_cache(model: nn.Module, interface: Interface) -> tuple[nn.Module, Interface]:
    """The model and the interface that are exported: with keys and values as states where the model can go on from
    them, else what was given. With empty states it answers as it does without."""
    sizes = find_cache_sizes(model)
    if sizes is None:
        return model, interface
    extended = add_states(interface, sizes.layers, sizes.heads, sizes.head_size)
    return CachedDecoder(model), extended
