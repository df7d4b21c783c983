"""Folded batch norms: the same answers, no batch norm left, and those that cannot go are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.quant import folding
from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from tests import quant_example as example


def test_the_same_answers_without_batch_norms() -> None:
    model = example.made()
    traced = tracing.traced(model, example.images(2))
    assert folding.fold(traced) == []
    assert operators.BATCH_NORM not in {node.target for node in traced.graph.nodes}
    assert set(traced.state_dict()) == {
        f"{layer}.{what}" for layer in ("conv1", "conv2", "fc") for what in ("weight", "bias")
    }
    with torch.no_grad():
        x = example.images()
        torch.testing.assert_close(traced(x), model(x), rtol=1e-5, atol=1e-5)


class Before(nn.Module):
    """A batch norm before its convolution, and one behind a convolution that two others read."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 8, 1)
        self.behind = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.norm(x))
        return (self.behind(y) + y).mean((2, 3))


def test_one_that_follows_no_layer_of_its_own_stays_and_is_named() -> None:
    model = Before().eval()
    nn.init.normal_(model.norm.running_mean)  # type: ignore[arg-type]
    traced = tracing.traced(model, example.images(2))
    assert folding.fold(traced) == ["norm", "behind"]
    with torch.no_grad():
        torch.testing.assert_close(traced(example.images()), model(example.images()))


@pytest.mark.parametrize("bias", [None, torch.tensor([1.0, -2.0])])
def test_by_hand(bias: Tensor | None) -> None:
    # variance 3, epsilon 1: the factor is gain / 2
    weight, mean = torch.tensor([[2.0], [4.0]]), torch.tensor([1.0, 1.0])
    gain, shift, variance = (
        torch.tensor([1.0, 3.0]),
        torch.tensor([5.0, 7.0]),
        torch.full((2,), 3.0),
    )
    got, added = folding.folded(weight, bias, gain, shift, mean, variance, 1.0)
    assert got.tolist() == [[1.0], [6.0]]
    want = [5 - 0.5, 7 - 1.5] if bias is None else [5 + 0.0, 7 - 4.5]
    assert added.tolist() == want
