"""A mean over an image becomes a pool that gives the same; other means stay."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.quant import canonical
from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from tests import quant_example as example


class Mean(nn.Module):
    def __init__(self, axes: tuple[int, ...], keepdim: bool) -> None:
        super().__init__()
        self.axes, self.keepdim = axes, keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.axes, keepdim=self.keepdim)


@pytest.mark.parametrize("keepdim", [True, False])
@pytest.mark.parametrize(("axes", "pooled"), [((2, 3), True), ((-1, -2), True), ((1, 2), False)])
def test_the_same_values(axes: tuple[int, ...], pooled: bool, keepdim: bool) -> None:
    model = Mean(axes, keepdim)
    module = tracing.traced(model, example.images(2))
    canonical.pool_whole_images(module)
    x = example.images(3)
    torch.testing.assert_close(module(x), model(x))
    assert (operators.POOL in {node.target for node in module.graph.nodes}) == pooled
