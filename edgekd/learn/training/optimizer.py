"""What moves the weights of a training run: the optimizer, and the average that may be kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edgekd.learn.settings import Training

RATE = "rate_factor"
"""In a group of parameters: what their learning rate is of the training's."""


def build_optimizer(
    model: nn.Module, training: Training, factors: Mapping[Tensor, float] | None = None
) -> torch.optim.Optimizer:
    """Build SGD or AdamW; biases and normalisation are not decayed.

    Args:
        model: whose parameters are moved, but for those that want no gradient.
        training: what the recipe says.
        factors: what a parameter's learning rate is of the training's; 1 where it is not there.
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
    if training.optimizer == "adamw":
        betas = (training.momentum, 0.999)
        return torch.optim.AdamW(groups, lr=training.learning_rate, betas=betas)
    nesterov = training.nesterov and training.momentum > 0
    return torch.optim.SGD(
        groups, lr=training.learning_rate, momentum=training.momentum, nesterov=nesterov
    )


def build_average(model: nn.Module, training: Training) -> AveragedModel | None:
    """Build the moving average of the weights, if the recipe asks for one."""
    decay = training.ema_decay
    if not decay:
        return None
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
