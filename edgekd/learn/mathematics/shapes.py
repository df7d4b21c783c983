"""What losses want of the tensors they compare: shapes that fit, and room to compute in."""

from __future__ import annotations

import torch
from torch import Tensor

Shape = tuple[int, ...]
"""Of one signal, the batch first."""
Stages = tuple[Shape, ...]
"""Of a signal that is several tensors, shallow to deep."""


def widen(tensor: Tensor) -> Tensor:
    """Return at least float32: half-precision logits are not exponentiated as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def pool_places(features: Tensor) -> Tensor:
    """Return an embedding [B, D]: the mean over the places of maps [B, D, H, W] or tokens [B, N, D]; vectors as they are."""
    if features.ndim <= 2:
        return features
    return features.flatten(2).mean(2) if features.ndim == 4 else features.mean(1)


def require_same_logits(student: Tensor, teacher: Tensor) -> None:
    """Refuse what is not two [B, C] of one shape.

    Raises:
        ValueError: if they differ or are not two-dimensional.
    """
    if student.shape != teacher.shape or student.ndim != 2:
        raise ValueError(f"want two [B, C], got {tuple(student.shape)} and {tuple(teacher.shape)}")


def require_classes(logits: Tensor, label_indices: Tensor, *, least: int = 2) -> None:
    """Refuse labels that are not one class index a row, and too few classes.

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than `least` classes.
    """
    if label_indices.shape != logits.shape[:1]:
        raise ValueError(
            f"want [B, C] and [B], got {tuple(logits.shape)} and {tuple(label_indices.shape)}"
        )
    if logits.shape[1] < least:
        raise ValueError(f"got {logits.shape[1]} classes, want at least {least}")


def require_several(samples: Tensor, *, least: int = 2) -> None:
    """Refuse a batch too small to compare across.

    Raises:
        ValueError: if the first axis is shorter than `least`.
    """
    if len(samples) < least:
        raise ValueError(
            f"got a batch of {len(samples)}, want {least} samples or more to compare across"
        )


def require_maps(student: Tensor, teacher: Tensor, *, same: bool = True) -> None:
    """Refuse what is not two feature maps [B, C, H, W] of the same samples.

    Args:
        student: of the student.
        teacher: of the teacher.
        same: whether all sides must agree; else the channels may differ.

    Raises:
        ValueError: if they do not fit.
    """
    one, other = tuple(student.shape), tuple(teacher.shape)
    fit = len(one) == len(other) == 4 and one[:1] + one[2:] == other[:1] + other[2:]
    if not fit or (same and one != other):
        wanted = "two [B, C, H, W]" if same else "two [B, *, H, W]"
        raise ValueError(f"want {wanted}, got {one} and {other}")


def require_embeddings(student: Tensor, teacher: Tensor, *, same: bool = False) -> None:
    """Refuse what is not two embeddings [B, D] of the same samples.

    Args:
        student: of the student.
        teacher: of the teacher.
        same: whether D must agree, too.

    Raises:
        ValueError: if they do not fit.
    """
    one, other = tuple(student.shape), tuple(teacher.shape)
    if len(one) != 2 or len(other) != 2 or one[0] != other[0] or (same and one != other):
        wanted = "two [B, D]" if same else "two [B, *]"
        raise ValueError(f"want {wanted}, got {one} and {other}")


def require_same_values(student: Tensor, other: Tensor) -> None:
    """Refuse numbers of two shapes, which would be spread over one another.

    Raises:
        ValueError: if the shapes differ, or there is no batch.
    """
    one, two = tuple(student.shape), tuple(other.shape)
    if one != two or not one:
        raise ValueError(f"want two [B, ...] of one shape, got {one} and {two}")
