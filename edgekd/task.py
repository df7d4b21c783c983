"""What a task measures. Image classification for now: logits [B, C] against labels [B]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def top1_accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of rows of `logits` [B, C] whose largest entry is at `labels` [B].

    Raises:
        ValueError: if the shapes do not fit or there are no rows.
    """
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(f"want [B, C] and [B], got {logits.shape} and {labels.shape}")
    return float((logits.argmax(1) == labels).mean())


def top1_agreement(logits: np.ndarray, reference: np.ndarray) -> float:
    """Fraction of rows on which two [B, C] answers name the same class."""
    return top1_accuracy(logits, reference.argmax(1))
