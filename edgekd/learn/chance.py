"""Is a classifier better than guessing, and if not, what is the likely cause?"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rescaling = tuple[NDArray[Any], NDArray[Any]]

MARGIN = 0.1
"""How much of the way from chance to perfect a usable classifier must have gone."""


def floor(labels: NDArray[np.int64]) -> float:
    """The accuracy under which a classifier counts as near chance.

    Chance is always naming the commonest class.
    """
    chance = np.bincount(labels).max() / len(labels)
    return float(chance + MARGIN * (1 - chance))


def renamed_accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The best accuracy under any renaming of the answers' classes (Kuhn 1955)."""
    from scipy.optimize import linear_sum_assignment

    classes = logits.shape[1]
    confusion = np.zeros((classes, classes))
    np.add.at(confusion, (logits.argmax(1), labels), 1)
    rows, columns = linear_sum_assignment(-confusion)
    return float(confusion[rows, columns].sum() / len(labels))


def rescalings(channels: int) -> dict[str, Rescaling]:
    """Usual other preprocessings, as (scale, shift) of pixels [C]."""
    one, none = np.ones(channels, np.float32), np.zeros(channels, np.float32)
    usual: dict[str, Rescaling] = {
        "pixels / 255 without mean and std": (one / 255, none),
        "raw pixels 0 to 255": (one, none),
        "mean 0.5, std 0.5": (one / 127.5, -one),
    }
    if channels == 3:
        std: NDArray[np.float32] = np.array((0.229, 0.224, 0.225), np.float32)
        mean: NDArray[np.float32] = np.array((0.485, 0.456, 0.406), np.float32)
        usual["ImageNet's mean and std"] = (1 / (255 * std), -mean / std)
    return usual
