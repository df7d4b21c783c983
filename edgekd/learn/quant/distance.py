"""How far a model's outputs are from those of the float model, each measured by its kind."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch import fx

from edgekd import interface
from edgekd.learn.forward_pass import Outputs
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.quant.calibration import Batches

AT_ONCE = 2**22
"""Logits that are compared at a time, in float64: 32 MiB."""


def mean_distance(
    module: fx.GraphModule,
    want: Sequence[Outputs],
    batches: Batches,
    outputs: Sequence[interface.Tensor],
) -> float:
    """The mean over outputs of their distances from `want`; 0 where they are equal.

    Of logits KL(want || module) in nats, the mean over samples and places; of logits without a class axis, each of
    which is a probability by itself, the mean over them all. Of other numbers the relative square error: the sum of
    squared differences by that of the squared deviations from the mean. Outputs of whole numbers do not count.

    Args:
        module: what is measured.
        want: what it should give, a batch each.
        batches: the inputs.
        outputs: what the model gives, in order.
    """
    chosen = [at for at, end in enumerate(outputs) if end.dtype.startswith("float")]
    sums = [[0.0, 0.0] for _ in outputs]
    means = {
        at: _mean([batch[at] for batch in want]) for at in chosen if outputs[at].kind != "logits"
    }
    with torch.no_grad():
        for inputs, wanted in zip(batches(), want, strict=True):
            given = as_tuple(module(*inputs))
            for at in chosen:
                end = outputs[at]
                if end.kind == "logits":
                    total, count = _divergence(given[at], wanted[at], end.class_axis)
                else:
                    total, count = _square_error(given[at], wanted[at], means[at])
                sums[at][0] += total
                sums[at][1] += count
    distances = [_ratio(*sums[at]) for at in chosen]
    return sum(distances) / max(1, len(distances))


def _divergence(got: Tensor, want: Tensor, class_axis: int) -> tuple[float, float]:
    """The sum of KL(want || got) over samples and places, and how many there are; of many logits some samples at a time."""
    together = max(1, AT_ONCE * len(want) // max(1, want.numel()))
    parts = zip(got.split(together), want.split(together), strict=True)
    found = [_divergence_of_all(*part, class_axis) for part in parts]
    return sum(total for total, _ in found), sum(count for _, count in found)


def _divergence_of_all(got: Tensor, want: Tensor, class_axis: int) -> tuple[float, float]:
    got, want = got.double(), want.double()
    if class_axis < 0:
        got, want = (torch.stack([each, torch.zeros_like(each)]) for each in (got, want))
        class_axis = 0
    one, other = F.log_softmax(got, class_axis), F.log_softmax(want, class_axis)
    total = float(F.kl_div(one, other, reduction="sum", log_target=True))
    return total, want.numel() / want.shape[class_axis]


def _square_error(got: Tensor, want: Tensor, mean: float) -> tuple[float, float]:
    got, want = got.double(), want.double()
    return float((got - want).square().sum()), float((want - mean).square().sum())


def _mean(values: Sequence[Tensor]) -> float:
    return float(sum(each.double().sum() for each in values)) / sum(each.numel() for each in values)


def _ratio(total: float, count: float) -> float:
    """What divides is 0 of an output that is always the same."""
    return total / count if count else total
