"""What moves the weights of a training run: the optimizer, and the average that may be kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edgekd.learn.settings import Training


def build_optimizer(model: nn.Module, training: Training) -> torch.optim.Optimizer:
    """Build SGD or AdamW; biases and normalisation are not decayed."""
    weights = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": training.weight_decay},
        {"params": others, "weight_decay": 0.0},
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
