"""Tokens of which some are padding: what counts, zeros elsewhere, and means over what counts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def has_tokens(features: Tensor, token_mask: Tensor | None) -> bool:
    """Return whether the second axis of features is that of the mask's tokens: [B, N, D] and [B, N]."""
    return token_mask is not None and features.ndim == 3 and features.shape[:2] == token_mask.shape


def clear_padding(features: Tensor, token_mask: Tensor | None) -> Tensor:
    """Put zeros, without gradient, where there is no token.

    Args:
        features: tokens [B, N, D]; anything else stays as it is.
        token_mask: [B, N], 1 where there is a token; None if all count.
    """
    if token_mask is None or not has_tokens(features, token_mask):
        return features
    return features.masked_fill((token_mask == 0)[:, :, None], 0)


def clear_layers(layers: Any, token_mask: Tensor | None) -> Any:
    """`clear_padding` of what one module gives, or of each in the tuple that several give; None stays None."""
    if isinstance(layers, tuple):
        return tuple(clear_padding(each, token_mask) for each in layers)
    return layers if layers is None else clear_padding(layers, token_mask)


def mean_over_tokens(values: Tensor, token_mask: Tensor | None = None) -> Tensor:
    """Return the mean over all tokens that count, and over whatever axes come after; 0 where none does.

    Args:
        values: [B, N, ...].
        token_mask: [B, N], 1 where there is a token; None if all count.

    Raises:
        ValueError: if the mask is of other tokens.
    """
    if token_mask is None:
        return values.mean()
    counting = _require_counting(token_mask, values.shape[:2])
    rest = values.flatten(2).mean(2) if values.ndim > 2 else values
    return torch.where(counting, rest, 0).sum() / counting.sum().clamp(min=1)


def pool_tokens(features: Tensor, token_mask: Tensor | None = None) -> Tensor:
    """Return the mean [B, D] over the tokens [B, N, D] that count; zeros where there is none."""
    if token_mask is None or not has_tokens(features, token_mask):
        return features.mean(1)
    counts = token_mask.to(features.dtype).sum(1, keepdim=True).clamp(min=1)
    return clear_padding(features, token_mask).sum(1) / counts


def counting_keys(token_mask: Tensor, scores: Tensor) -> Tensor:
    """Return which keys count, bool [B, 1, 1, N], for scores [B, heads, N, N].

    Raises:
        ValueError: if the mask is of other tokens.
    """
    counting = _require_counting(token_mask, torch.Size((scores.shape[0], scores.shape[3])))
    return counting[:, None, None, :]


def _require_counting(token_mask: Tensor, tokens: torch.Size) -> Tensor:
    if token_mask.shape != tokens:
        got = f"{tuple(token_mask.shape)} for tokens {tuple(tokens)}"
        raise ValueError(f"got a mask {got}, want one of the same tokens")
    return token_mask != 0
