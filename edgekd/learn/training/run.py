"""What one training run works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Literal

from torch import Tensor
from torch import nn

from edgekd.learn.data.loader import Samples
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.privacy import dp_sgd
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.training.depth import LayerRates
from edgekd.progress import Progress


@dataclass(slots=True, kw_only=True)
class TrainingRun:
    """Everything one training run works with."""

    model: nn.Module
    samples: Samples
    terms: tuple[BoundTerm, ...]
    scheme: Scheme
    training: Training
    resolved: Arithmetic
    seed: int
    checkpoints: Path
    progress: Progress
    score: Callable[[nn.Module], float]
    """What a model in evaluation mode reaches on the validation split."""
    better: Literal["higher", "lower"] = "higher"
    """Which score is."""
    private: dp_sgd.Privacy | None = None
    """What makes each step differentially private, if anything does."""
    rates: LayerRates = LayerRates()
    """Learning rates by depth, and what stays as it is."""
    waypoints: int = 0
    """How many states on the way are kept, evenly over the epochs; the end is not one of them."""
    passed: dict[str, Tensor] = field(default_factory=dict)
    """Those states so far, ``NUMBER/NAME`` to tensor, numbers from 1."""
