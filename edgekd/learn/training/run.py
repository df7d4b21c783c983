"""What one training run works with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sized
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Literal
from typing import cast

from torch import Tensor
from torch import nn

from edgekd.learn import arithmetic
from edgekd.learn.data.loader import Batch
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import epoch_batches
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
    samples: Sized
    """Those that are learned from."""
    terms: tuple[BoundTerm, ...]
    scheme: Scheme
    training: Training
    resolved: Arithmetic
    seed: int
    checkpoints: Path
    progress: Progress
    score: Callable[[nn.Module], float] | None
    """What a model in evaluation mode reaches on the validation split; None if nobody asks."""
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
    batches: Callable[..., Iterator[Batch]] | None = None
    """Gives the batches of an epoch; None for views of `samples`, which then are `Samples`."""

    def open_epoch(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on."""
        source = self.batches
        if source is None:
            samples = cast(Samples, self.samples)
            source = functools.partial(
                epoch_batches, samples, is_pending=arithmetic.has_accelerator()
            )
            if self.private:
                source = functools.partial(dp_sgd.private_batches, samples)
        training = self.training
        return source(
            epoch=epoch,
            batch_size=training.batch_size,
            seed=self.seed,
            start=start,
            workers=training.workers or arithmetic.count_workers_ahead(),
        )
