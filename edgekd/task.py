"""What a task measures. Image classification for now: logits [B, C] against labels [B]."""

from __future__ import annotations

import math
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


def falls_behind(logits: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> bool:
    """Whether `logits` [B, C] are right less often than `reference` [B, C], and not by chance.

    Rows on which both are right or wrong tell nothing; of the others, more are lost than won by over one
    standard error of the difference (McNemar 1947, Psychometrika 12).
    """
    right, was_right = logits.argmax(1) == labels, reference.argmax(1) == labels
    lost, won = int((was_right & ~right).sum()), int((right & ~was_right).sum())
    return lost - won > math.sqrt(lost + won)
