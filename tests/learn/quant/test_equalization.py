"""Equalization changes nothing that is computed and evens out what is rounded."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.quant import equalization
from edgekd.learn.quant import tracing
from tests import quant_example as example


def spiky() -> torch.fx.GraphModule:
    """Tokens whose norm has one channel a hundred times the others."""
    module = example.folded(example.Tokens)
    with torch.no_grad():
        module.get_parameter("norm1.weight")[3] *= 100
    return module


def largest(module: torch.fx.GraphModule) -> torch.Tensor:
    places = equalization.find_places(module)[:1]
    seen = equalization.observe_channels(module, places, example.BATCHES)
    return seen[places[0].source].largest()


def test_the_same_answers_and_even_channels() -> None:
    module = spiky()
    with torch.no_grad():
        before = module(example.images())
    ratio = largest(module).max() / largest(module).median()
    changes = equalization.find_changes(module, example.BATCHES)
    for change in changes:
        change.apply()
    assert [change.name for change in changes] == ["norm1:layer_norm", "norm2:layer_norm"]
    with torch.no_grad():
        torch.testing.assert_close(module(example.images()), before, rtol=1e-3, atol=1e-4)
    assert largest(module).max() / largest(module).median() < ratio / 4


@pytest.mark.parametrize("kind", [example.Block, example.Swish])
def test_a_model_without_layer_norms_is_left_alone(kind: type) -> None:
    module = example.folded(kind)
    assert equalization.find_changes(module, example.BATCHES) == []


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_the_strength_says_whose_channels_become_even(strength: float) -> None:
    """s = max|x|^a / max|w|^(1 - a): afterwards max|x| is (x w)^(1 - a) and max|w| is (x w)^a."""
    module = spiky()
    x = largest(module)
    (first, _) = equalization.find_changes(module, example.BATCHES, strength)
    w = torch.stack([matrix.detach().abs().amax(0) for matrix in first.multiplied]).amax(0)
    first.apply()
    torch.testing.assert_close(largest(module), (x * w) ** (1 - strength), rtol=1e-4, atol=1e-6)
    now = torch.stack([matrix.detach().abs().amax(0) for matrix in first.multiplied]).amax(0)
    torch.testing.assert_close(now, (x * w) ** strength, rtol=1e-4, atol=1e-6)
    first.undo()
    torch.testing.assert_close(largest(module), x, rtol=1e-5, atol=1e-6)


class Normed(nn.Module):
    """A layer norm of a gain and a shift of its own, which linear layers of their own read."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(example.SIDE)
        self.one, self.two = nn.Linear(example.SIDE, 4), nn.Linear(example.SIDE, 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return (self.one(y) + self.two(y)).mean((1, 2))


class Plain(Normed):
    """The norm has neither."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(example.SIDE, elementwise_affine=False)


class Shiftless(Normed):
    """It has no shift."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(example.SIDE, bias=False)


class SharedNorm(Normed):
    """Another norm has the same gain and shift."""

    def forward(self, x: Tensor) -> Tensor:
        return self.one(self.norm(x)).mean((1, 2)) + self.norm(x).relu().mean((1, 2, 3))[:, None]


class SharedGain(Normed):
    """Its gain is added somewhere else."""

    def forward(self, x: Tensor) -> Tensor:
        return self.one(self.norm(x)).mean((1, 2)) + self.norm.weight.mean()


class SharedShift(Normed):
    """Its shift is."""

    def forward(self, x: Tensor) -> Tensor:
        return self.one(self.norm(x)).mean((1, 2)) + self.norm.bias.mean()


class OtherReader(Normed):
    """Something else reads it, too."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return self.one(y).mean((1, 2)) + y.mean((1, 2, 3))[:, None]


class TiedReader(Normed):
    """A layer that reads it is used for something else as well."""

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.norm(x)).mean((1, 2)) + self.two(x).mean((1, 2))


class ComputedReader(Normed):
    """The weight of a layer that reads it is no parameter."""

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.linear(self.norm(x), self.one.weight * x.mean())
        return y.mean((1, 2))


class Unread(Normed):
    """The answer is the norm's own."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.mean((1, 2)))


KINDS = {
    Normed: 1,
    Plain: 0,
    Shiftless: 0,
    SharedNorm: 0,
    SharedGain: 0,
    SharedShift: 0,
    OtherReader: 0,
    TiedReader: 0,
    ComputedReader: 0,
    Unread: 0,
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_asks_who_else_reads(kind: type[nn.Module]) -> None:
    model = example.made(kind)
    module = tracing.trace(model, example.INTERFACE)
    found = equalization.find_changes(module, example.BATCHES)
    assert len(found) == KINDS[kind]
    for change in found:
        assert len(change.divided) == len(change.multiplied) == 2
        change.apply()
    with torch.no_grad():
        x = example.images(4)
        torch.testing.assert_close(module(x), model(x), rtol=1e-4, atol=1e-5)


def test_a_channel_that_is_always_zero_or_never_read_keeps_its_numbers() -> None:
    model = example.made(Normed)
    with torch.no_grad():
        model.norm.weight[1] = model.norm.bias[1] = 0.0  # type: ignore[union-attr, index]
        for layer in (model.one, model.two):
            layer.weight[:, 2] = 0.0  # type: ignore[union-attr, index]
    module = tracing.trace(model, example.INTERFACE)
    (change,) = equalization.find_changes(module, example.BATCHES)
    assert change.factor.isfinite().all() and change.factor.min() == pytest.approx(1e-5)
    change.apply()
    with torch.no_grad():
        x = example.images(4)
        torch.testing.assert_close(module(x), model(x), rtol=1e-4, atol=1e-5)
