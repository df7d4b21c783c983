"""What moves the weights of a training run: the optimizer, and the average that may be kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edgekd.errors import InputError
from edgekd.learn.optimizers import OPTIMIZERS
from edgekd.learn.optimizers import OptimizerSettings
from edgekd.learn.settings import Training

RATE = "rate_factor"
"""In a group of parameters: what their learning rate is of the training's."""

FUSED = ("adam", "adamw", "sgd")
"""Optimizers of which torch has one kernel for all parameters, on GPUs, too."""


def build_optimizer(
    model: nn.Module,
    training: Training,
    factors: Mapping[Tensor, float] | None = None,
    *,
    fused: bool = False,
) -> torch.optim.Optimizer:
    """Build an optimizer of torch; biases and normalisation are not decayed.

    Args:
        model: whose parameters are moved, but for those that want no gradient.
        training: what the recipe says.
        factors: what a parameter's learning rate is of the training's; 1 where it is not there.
        fused: whether those of `FUSED` move all parameters in one kernel, which rounds otherwise.

    Raises:
        InputError: if torch refuses a knob.
    """
    factors = factors or {}
    moved = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = []
    for factor in sorted({factors.get(p, 1.0) for p in moved}, reverse=True) or [1.0]:
        alike = [p for p in moved if factors.get(p, 1.0) == factor]
        groups += [
            {
                "params": [p for p in alike if p.ndim > 1],
                "weight_decay": training.weight_decay,
                RATE: factor,
            },
            {"params": [p for p in alike if p.ndim <= 1], "weight_decay": 0.0, RATE: factor},
        ]
    if isinstance(training.optimizer, OptimizerSettings):
        return _build_by_name(training.optimizer, groups, training.learning_rate, fused=fused)
    one_kernel = True if fused else None  # None is torch's own choice
    if training.optimizer == "adamw":
        betas = (training.momentum, 0.999)
        return torch.optim.AdamW(groups, lr=training.learning_rate, betas=betas, fused=one_kernel)
    nesterov = training.nesterov and training.momentum > 0
    return torch.optim.SGD(
        groups,
        lr=training.learning_rate,
        momentum=training.momentum,
        nesterov=nesterov,
        fused=one_kernel,
    )


def _build_by_name(
    choice: OptimizerSettings,
    groups: list[dict[str, Any]],
    learning_rate: float,
    *,
    fused: bool,
) -> torch.optim.Optimizer:
    known, knobs = OPTIMIZERS[choice.name], dict(choice.knobs)
    if fused and choice.name in FUSED:
        knobs["fused"] = True
    if not known.decays:
        groups = [{k: v for k, v in group.items() if k != "weight_decay"} for group in groups]
    build = getattr(torch.optim, known.torch_name)
    try:
        built: torch.optim.Optimizer = build(groups, lr=learning_rate, **knobs)
    except ValueError as error:
        raise InputError(f"optimizer {choice.name}: {error}") from error
    return built


def build_average(model: nn.Module, training: Training) -> AveragedModel | None:
    """Build the moving average of the weights, if the recipe asks for one."""
    decay = training.ema_decay
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
