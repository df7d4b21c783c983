"""Places of dense logits as rows, so that every loss on [B, C] serves them.

A loss that means over the batch then means over all places of all samples that count.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

NO_CLASS = -100
"""A target that stands for no class, which torch's cross-entropy passes over, too."""


def has_places(logits: Tensor, class_axis: int) -> bool:
    """Return whether there is more than one row a sample: another axis beside those of samples and classes."""
    return class_axis >= 0 and logits.ndim > 2


def find_counting(target: Tensor, classes: int) -> Tensor:
    """Return where a target counts: its number is a class. Others (255, -100) stand for no class.

    Args:
        target: numbers of classes [B, ...].
        classes: how many there are.

    Returns:
        Booleans of the same shape.
    """
    return (target >= 0) & (target < classes)


def to_rows(logits: Tensor, class_axis: int, counting: Tensor | None = None) -> Tensor:
    """The logits of every place that counts; where all do and the classes come last, a view of them.

    Args:
        logits: [B, ..., C, ...].
        class_axis: where C is, from 1 on.
        counting: booleans [B, ...], the shape of `logits` without C; None if all places count.

    Returns:
        [P, C], in the order of the places.

    Raises:
        ValueError: if the shapes do not fit.
    """
    moved = logits.movedim(class_axis, -1)
    if counting is None:
        return moved.flatten(0, -2)
    if moved.shape[:-1] != counting.shape:
        raise ValueError(
            f"want logits and targets of the same places, got {tuple(logits.shape)} with classes on axis "
            f"{class_axis} and {tuple(counting.shape)}"
        )
    return moved.flatten(0, -2) if counting.all() else moved[counting]


def target_rows(target: Tensor, counting: Tensor) -> Tensor:
    """The classes [P] at the places that count, as `to_rows` orders them."""
    return target[counting].to(torch.int64)


def take_tokens(whole: Any, mask: Tensor | None) -> Any:
    """Logits of every place of a batch [B, N, V] as rows [P, V] of those where there is a token; stored ones, too.

    Raises:
        ValueError: if they are no logits of tokens.
    """
    if whole is None or mask is None or tuple(whole.shape[:-1]) != tuple(mask.shape):
        got = "none" if whole is None else f"{tuple(whole.shape)}"
        raise ValueError(f"all_tokens: got logits {got}, want a row for every token of a text")
    if not isinstance(whole, Tensor):
        return whole[mask != 0]
    return to_rows(whole, whole.ndim - 1, mask != 0)
