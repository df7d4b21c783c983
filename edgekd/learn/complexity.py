"""How large a model is and how much it computes."""

from __future__ import annotations

from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgekd.learn.blueprint import Blueprint
from edgekd.learn.forward_pass import run_once
from edgekd.learn.onnx_import.session import OnnxFile


def count_parameters(model: nn.Module) -> int:
    """Count trained numbers; a tied one counts once, buffers do not count, but what a whole file holds does."""
    whole = (each.count_weights() for each in model.modules() if isinstance(each, OnnxFile))
    return sum(parameter.numel() for parameter in model.parameters()) + sum(whole)


def count_macs(model: nn.Module, blueprint: Blueprint) -> int:
    """Count multiply-accumulates of one sample in convolutions and matrix products, biases left out.

    Args:
        model: is run once in evaluation mode, and left in the mode it was in.
        blueprint: whose sizes count.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        run_once(model, *blueprint.blank(1))
    return int(counter.get_total_flops()) // 2
