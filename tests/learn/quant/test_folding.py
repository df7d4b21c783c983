"""Folded batch norms: the same answers, no batch norm left, and those that cannot go are named."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.quant import folding
from edgekd.learn.quant import operators
from edgekd.learn.quant import rewriting
from edgekd.learn.quant import tracing
from tests import quant_example as example


def test_the_same_answers_without_batch_norms() -> None:
    model = example.made()
    traced = tracing.trace(model, example.INTERFACE)
    assert rewriting.apply_rewrites(traced) == ["bn1:batch_norm", "bn2:batch_norm"]
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


def test_one_that_follows_no_layer_of_its_own_stays() -> None:
    model = Before().eval()
    nn.init.normal_(model.norm.running_mean)  # type: ignore[arg-type]
    traced = tracing.trace(model, example.INTERFACE)
    assert rewriting.apply_rewrites(traced) == [":mean"]
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
    got, added = folding.fold_weights(weight, bias, gain, shift, mean, variance, 1.0)
    assert got.tolist() == [[1.0], [6.0]]
    want = [5 - 0.5, 7 - 1.5] if bias is None else [5 + 0.0, 7 - 4.5]
    assert added.tolist() == want


class TwoWeights(nn.Module):
    """One module with two weights, each convolved and followed by a batch norm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(8, 3, 1, 1))
        self.second = nn.Parameter(torch.randn(8, 3, 1, 1))
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        one = self.norm1(nn.functional.conv2d(x, self.first))
        two = self.norm2(nn.functional.conv2d(x, self.second))
        return (one.relu() - two.relu()).mean((2, 3))


class BiasElsewhere(nn.Module):
    """A bias beside the weight, which someone else reads."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 1, 1))
        self.bias = nn.Parameter(torch.randn(8))
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(nn.functional.conv2d(x, self.weight)).mean((2, 3)) + self.bias


class SharedBias(nn.Module):
    """Two convolutions that read one bias; a batch norm behind the first."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)
        self.two.bias = self.one.bias
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        return (self.norm(self.one(x)).relu() - self.two(x).relu()).mean((2, 3))


class SharedWeight(nn.Module):
    """One convolution used twice, or two with one weight; each use has a batch norm of its own."""

    def __init__(self, tied: bool = False) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 1), nn.Conv2d(3, 8, 1)
        self.two.weight = self.one.weight
        self.tied = tied
        self.norm1, self.norm2 = nn.BatchNorm2d(8), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        again = self.two(x) if self.tied else self.one(x)
        return (self.norm1(self.one(x)).relu() - self.norm2(again).relu()).mean((2, 3))


class TiedWeights(SharedWeight):
    def __init__(self) -> None:
        super().__init__(tied=True)


class Tokens(nn.Module):
    """A batch norm over the tokens behind a linear layer, as many as it has outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(8, 8), nn.BatchNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.fc(x.mean(1))).mean(1)


class BatchStatistics(nn.Module):
    """A batch norm that goes by its batch even in evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        mean, variance = self.norm.running_mean, self.norm.running_var
        return nn.functional.batch_norm(self.conv(x), mean, variance, training=False).mean((2, 3))


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (TwoWeights, 0),
        (BiasElsewhere, 0),
        (SharedBias, 0),
        (SharedWeight, 2),
        (TiedWeights, 2),
        (Tokens, 1),
        (BatchStatistics, 0),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_fold_asks_who_else_reads_and_over_which_axis(
    kind: type[nn.Module], left: int, seed: int
) -> None:
    model = example.made(kind, seed)
    module, undone = rewriting.trace_and_rewrite(model, example.INTERFACE, [example.inputs(8)])
    assert undone == ()
    norms = [node for node in module.graph.nodes if node.target is operators.BATCH_NORM]
    assert len(norms) == left
    with torch.no_grad():
        got, want = module(example.images(5)), model(example.images(5))
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
