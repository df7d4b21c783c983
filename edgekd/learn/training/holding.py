"""Who holds the parameters of a network that is trained: every rank all of them, or each a share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch import fx
from torch import nn

from edgekd.learn.optimizers import OptimizerSettings
from edgekd.learn.parallel import ranks
from edgekd.learn.training.run import TrainingRun


class Holding(Protocol):
    """What of a training depends on who holds what; all ranks call it alike."""

    is_sharded: bool

    def average_gradients(self, trained: nn.Module) -> None:
        """Give every parameter the mean of its gradients over the ranks."""

    def clip_gradients(
        self, fabric: Fabric, trained: nn.Module, optimizer: torch.optim.Optimizer, most: float
    ) -> None:
        """Shorten all gradients alike where their norm is more."""

    def ask_score(self, ask: Callable[[], float]) -> float:
        """What the network scores, the same on all ranks."""

    def agree(self, due: bool) -> bool:
        """Whether something is due that a rank cannot do alone."""

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same as whole tensors, of which the first rank has all."""

    def share(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Whole tensors as this rank holds them: as those of the same name in `like`."""

    def join(self) -> None:
        """Give every rank the whole network, for good."""


class WholeHolding:
    """Every rank holds all parameters."""

    is_sharded = False

    def average_gradients(self, trained: nn.Module) -> None:
        """Send all gradients."""
        ranks.average_gradients(trained)

    def clip_gradients(
        self, fabric: Fabric, trained: nn.Module, optimizer: torch.optim.Optimizer, most: float
    ) -> None:
        """Clip the gradients as they are: half precision has them scaled until here."""
        fabric.clip_gradients(trained, optimizer, max_norm=most, error_if_nonfinite=False)

    def ask_score(self, ask: Callable[[], float]) -> float:
        """Ask on the first rank alone."""
        return ranks.run_on_first(ask)

    def agree(self, due: bool) -> bool:
        """Each rank for itself: only the first writes."""
        return due

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """They are whole."""
        return dict(tensors)

    def share(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """They stay whole."""
        return dict(tensors)

    def join(self) -> None:
        """Every rank has it."""


def hold_parameters(run: TrainingRun, device: torch.device) -> Holding:
    """Share out the parameters of ``run.model`` over the ranks if that is asked for and can be; else put them into the
    memory order of the arithmetic."""
    if run.training.sharded and ranks.count() > 1:
        why = _find_obstacle(run)
        if not why:
            from edgekd.learn.training.shared_holding import (
                SharedHolding,
            )  # its imports take a second

            return SharedHolding(run, device)
        run.progress.note(f"sharded: every rank holds the whole model, for {why}")
    last = run.resolved.channels_last
    run.model.to(memory_format=torch.channels_last if last else torch.contiguous_format)
    return WholeHolding()


def _find_obstacle(run: TrainingRun) -> str:
    """Why the parameters cannot be shared out; empty if they can."""
    training, builder = run.training, run.training.optimizer
    obstacles = {
        "each sample's gradient is taken alone": run.private is not None,
        "its weights are averaged (ema_decay)": training.ema_decay > 0,
        "fp16 scales gradients": run.resolved.precision == "fp16",
        "it is traced": isinstance(run.model, fx.GraphModule),
        "its optimizer is neither sgd nor adamw": isinstance(builder, OptimizerSettings),
    }
    return next((why for why, stands in obstacles.items() if stands), "")
