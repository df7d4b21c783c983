"""Where a training run is, beside its tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import field
from typing import Literal


@dataclass(slots=True)
class TrainingState:
    """The numbers of a training run's progress, beside its tensors."""

    step: int = 0
    epoch: int = 0
    rate_factor: float = 1.0
    rollbacks: int = 0
    best_score: float | None = None
    best_epoch: int = -1
    sums: dict[str, float] = field(default_factory=dict)
    """Each term's values added up over the epoch so far."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row an epoch: mean of each term, learning rate, score on the validation split."""

    def is_best(self, score: float, better: Literal["higher", "lower"]) -> bool:
        """Return whether no epoch before reached as much; a score that is no number never is the best."""
        if math.isnan(score) or self.best_score is None:
            return not math.isnan(score)
        return score > self.best_score if better == "higher" else score < self.best_score
