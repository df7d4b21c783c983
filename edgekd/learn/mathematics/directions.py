"""Lengths, directions and distances whose gradients stay finite where they vanish."""

from __future__ import annotations

import torch
from torch import Tensor


def length(vectors: Tensor, *, dim: int = -1, order: float = 2.0) -> Tensor:
    """The norm along `dim`, which stays as an axis of one; the gradient is 0 where it is 0."""
    return torch.linalg.vector_norm(vectors, order, dim=dim, keepdim=True)


def unit(vectors: Tensor, *, dim: int = -1, order: float = 2.0, tiny: float = 0.0) -> Tensor:
    """v / (|v| + tiny) along `dim`; 0, without gradient, where v is 0.

    Args:
        vectors: any shape.
        dim: the axis of the vectors.
        order: of the norm: 2 is Euclid's, 1 the sum of absolute values.
        tiny: added to the norm, where a formula asks for it.

    Returns:
        As `vectors`.
    """
    size = length(vectors, dim=dim, order=order)
    still = size == 0
    return (vectors / (size + tiny).masked_fill(still, 1)).masked_fill(still, 0)


def root(squares: Tensor) -> Tensor:
    """The square root; 0, without gradient, of 0 and what rounding took below."""
    still = squares <= 0
    return squares.masked_fill(still, 1).sqrt().masked_fill(still, 0)


def differences(vectors: Tensor) -> Tensor:
    """[B, B, D] of [B, D]: v_j - v_i in row i."""
    return vectors.unsqueeze(0) - vectors.unsqueeze(1)


def cosines(vectors: Tensor, *, tiny: float = 0.0) -> Tensor:
    """[B, B] of [B, D]: of the angles between all pairs; 0 where one of a pair is 0."""
    directions = unit(vectors, tiny=tiny)
    return directions @ directions.T
