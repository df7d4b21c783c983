"""Is a classifier better than guessing, and if not, what is the likely cause?"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.tasks import classification

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rescaling = tuple[NDArray[Any], NDArray[Any]]

MARGIN = 0.1
"""How much of the way from chance to perfect a usable classifier must have gone."""
EXPLAINED = 0.45
"""How much of that way it goes with the cause put right, if that was the cause."""


class Standing(NamedTuple):
    """How far a classifier is above guessing, by balanced accuracy: the mean over the classes of the share that is
    right. What always names one class, common or not, has the balanced accuracy 1 / classes.
    """

    accuracy: float
    """Balanced."""
    chance: float
    """That of guessing: 1 / classes."""

    @property
    def gone(self) -> float:
        """How much of the way from chance to perfect."""
        return (self.accuracy - self.chance) / (1 - self.chance)

    @property
    def is_near_chance(self) -> bool:
        """Whether it knows hardly anything of these inputs."""
        return self.gone < MARGIN


def standing(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Standing:
    """Of the answers [N, C] to samples of the classes `labels` [N]; classes without a sample do not count."""
    rows = np.stack([logits.argmax(1), labels], axis=1)
    return Standing(classification.balanced_accuracy(rows), 1 / max(2, len(np.unique(labels))))


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
