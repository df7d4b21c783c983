"""Rounding that makes up for itself (GPTQ: Frantar et al. 2023, arXiv:2210.17323).

Inputs are rounded one after another, and what rounding one does to the output is taken from those that are still to
come, by the inverse of the second moments (sec. 3.1, eq. 2, with the Cholesky form of sec. 3.3). Scales stand fixed
before, so that the order is free: inputs that matter most are rounded first, while there is most left to make up.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.learn.weight_only.scales import BlockScales

DAMPING = 0.01
"""Of the mean of the diagonal, added to it."""
LAZY = 128
"""Inputs whose update of those further on is done at once (sec. 3.3)."""


def compensate_weights(
    weight: Tensor, moments: Tensor, scales: BlockScales, form: BlockFormat
) -> Tensor:
    """Weights [N, K] whose plain rounding to `scales` gives GPTQ's codes.

    What comes back is each weight as it was when its turn came: between two codes, so that learning may go on from it.

    Args:
        weight: [N, K].
        moments: of the inputs, [K, K].
        scales: of the blocks.
        form: how they are stored.
    """
    rest, order = (
        weight.detach().double().clone(),
        moments.diagonal().argsort(descending=True, stable=True),
    )
    moments = moments.double()[order][:, order]
    dead = moments.diagonal() <= 0
    rest = rest[:, order]
    moments = moments + torch.diag(
        torch.where(dead, 1.0, DAMPING * moments.diagonal().mean()).double()
    )
    factor = torch.linalg.cholesky(
        torch.cholesky_inverse(torch.linalg.cholesky(moments)), upper=True
    )
    scale, zero = (each.double()[:, order // form.group] for each in scales)
    width = rest.shape[1]
    for start in range(0, width, LAZY):
        stop = min(start + LAZY, width)
        errors = torch.empty(len(rest), stop - start, dtype=rest.dtype)
        for at in range(start, stop):
            column = rest[:, at]
            codes = (column / scale[:, at]).round().add(zero[:, at]).clamp(0, form.high)
            errors[:, at - start] = (column - (codes - zero[:, at]) * scale[:, at]) / factor[at, at]
            rest[:, at + 1 : stop] -= errors[:, at - start, None] * factor[at, at + 1 : stop]
        rest[:, stop:] -= errors @ factor[start:stop, stop:]
    back = torch.empty_like(rest)
    back[:, order] = rest
    return back.to(weight.dtype)
