"""Where a training run is, beside its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field


@dataclass(slots=True)
class State:
    """Where a run is, beside its tensors."""

    step: int = 0
    epoch: int = 0
    rate_factor: float = 1.0
    rollbacks: int = 0
    best_accuracy: float = -1.0
    best_epoch: int = -1
    sums: dict[str, float] = field(default_factory=dict)
    """Each term's values added up over the epoch so far."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row an epoch: mean of each term, learning rate, validation accuracy."""
