"""What labels alone teach: one number for any task, where a recipe's losses are not at hand."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.interface import Interface
from edgekd.interface import Tensor as End
from edgekd.learn import rows
from edgekd.learn.forward_pass import Outputs


def label_loss(outputs: Outputs, targets: Mapping[str, Tensor], interface: Interface) -> Tensor:
    """The sum over outputs with a target: cross-entropy of classes, over the places that count; binary cross-entropy of
    logits without a class axis; the squared error of other numbers.

    Args:
        outputs: what a model gives, in the interface's order.
        targets: what they are compared with, by name.
        interface: of the model.

    Raises:
        ValueError: if no output has a target.
    """
    named = zip(interface.outputs, outputs, strict=True)
    losses = [
        _loss(end, output, targets[end.target]) for end, output in named if end.target in targets
    ]
    if not losses:
        raise ValueError("got no output with a target, want one")
    return functools.reduce(torch.add, losses)


def _loss(end: End, output: Tensor, target: Tensor) -> Tensor:
    if end.kind != "logits":
        return F.mse_loss(output, target.to(output.dtype))
    if end.class_axis < 1:
        return F.binary_cross_entropy_with_logits(output, target.to(output.dtype))
    counting = rows.find_counting(target, output.shape[end.class_axis])
    chosen = rows.to_rows(output, end.class_axis, counting)
    return (
        F.cross_entropy(chosen, rows.target_rows(target, counting)) if len(chosen) else chosen.sum()
    )
