"""A teacher that is looked into while it answers: what its batch norms and its classifier take in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgekd.learn.synthesis.losses import Moments


class TeacherRecord(NamedTuple):
    """A teacher's answers to one batch and the values inside, all with gradient."""

    logits: Tensor
    """[B, C]."""
    moments: tuple[Moments, ...]
    """Of the batch norms that remember training, in the order they ran."""
    means: Tensor | None
    """[B, F], each image's mean of each channel that a batch norm took in; None without batch norms."""
    embedding: Tensor | None
    """[B, D], what entered the last layer with one output a class; None if there is none."""


def find_batch_norms(model: nn.Module) -> list[nn.Module]:
    """Find the batch norms that hold statistics of the training data."""
    norms = (module for module in model.modules() if isinstance(module, _BatchNorm))
    return [norm for norm in norms if norm.running_mean is not None]


def freeze_teacher(teacher: nn.Module, device: torch.device) -> nn.Module:
    """Put `teacher` on `device`, in evaluation mode, its weights without gradient."""
    return teacher.to(device).eval().requires_grad_(False)


def record_teacher(teacher: nn.Module, images: Tensor) -> TeacherRecord:
    """Run `teacher` on images [B, C, H, W] and record its answers and the values inside."""
    norms: list[tuple[nn.Module, Tensor]] = []
    heads: dict[int, Tensor] = {}
    with _watching(teacher, norms, heads):
        logits = teacher(images)
    means = [value.float().flatten(2).mean(2) if value.ndim > 2 else value for _, value in norms]
    head = heads.get(logits.shape[1])
    return TeacherRecord(
        logits,
        tuple(_moments(norm, value) for norm, value in norms),
        torch.cat(means, 1) if means else None,
        None if head is None else _pooled(head),
    )


@contextmanager
def _watching(
    teacher: nn.Module, norms: list[tuple[nn.Module, Tensor]], heads: dict[int, Tensor]
) -> Iterator[None]:
    """Fills `norms` with what each batch norm takes in, `heads` with the latest by number of outputs."""

    def to_norm(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        norms.append((module, inputs[0]))

    def to_head(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        heads[_outputs(module)] = inputs[0]

    hooks = [norm.register_forward_pre_hook(to_norm) for norm in find_batch_norms(teacher)]
    hooks += [one.register_forward_pre_hook(to_head) for one in teacher.modules() if _outputs(one)]
    try:
        yield
    finally:
        for one in hooks:
            one.remove()


def _outputs(module: nn.Module) -> int:
    """Return how many numbers a layer gives in one place; 0 for what cannot be a classifier."""
    if isinstance(module, nn.Linear):
        return module.out_features
    return module.out_channels if isinstance(module, nn.Conv2d) else 0


def _moments(norm: nn.Module, value: Tensor) -> Moments:
    values = value.float().transpose(0, 1).flatten(1)
    variance, mean = torch.var_mean(values, 1, correction=0)
    running_mean, running_variance = norm.running_mean, norm.running_var
    assert isinstance(running_mean, Tensor) and isinstance(running_variance, Tensor)
    return Moments(mean, variance, running_mean, running_variance)


def _pooled(value: Tensor) -> Tensor:
    """[B, D] of a vector, of tokens [B, N, D] (their mean) or of a map [B, D, H, W]."""
    if value.ndim == 4:
        return value.mean((2, 3))
    return value.mean(1) if value.ndim == 3 else value
