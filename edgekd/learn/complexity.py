"""How large a model is and how much it computes."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgekd.learn.blueprint import Blueprint


def count_parameters(model: nn.Module) -> int:
    """Count trained numbers; a tied one counts once, buffers do not count."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, blueprint: Blueprint) -> int:
    """Count multiply-accumulates of one sample in convolutions and matrix products, biases left out.

    Args:
        model: is run once in evaluation mode, and left in the mode it was in.
        blueprint: whose sizes count.
    """
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    inputs = [each.to(device) for each in blueprint.blank(1)]
    training = model.training
    counter = FlopCounterMode(display=False)
    model.eval()
    try:
        with torch.no_grad(), counter:
            model(*inputs)
    finally:
        model.train(training)
    return int(counter.get_total_flops()) // 2
