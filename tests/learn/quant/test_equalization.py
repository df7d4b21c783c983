"""Equalization changes nothing that is computed and evens out what is rounded."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.quant import equalization
from edgekd.learn.quant import operators
from tests import quant_example as example


def spiky() -> torch.fx.GraphModule:
    """Tokens whose norm has one channel a hundred times the others."""
    module = example.folded(example.Tokens)
    with torch.no_grad():
        module.get_parameter("norm1.weight")[3] *= 100
    return module


def largest(module: torch.fx.GraphModule) -> torch.Tensor:
    norms = [node for node in module.graph.nodes if node.target is operators.LAYER_NORM]
    return equalization._largest(module, norms[:1], example.BATCHES)[norms[0]]


def test_the_same_answers_and_even_channels() -> None:
    module = spiky()
    with torch.no_grad():
        before = module(example.images())
    ratio = largest(module).max() / largest(module).median()
    changes = equalization.changes(module, example.BATCHES)
    for change in changes:
        change.apply()
    assert [change.name for change in changes] == ["norm1:layer_norm", "norm2:layer_norm"]
    with torch.no_grad():
        torch.testing.assert_close(module(example.images()), before, rtol=1e-3, atol=1e-4)
    assert largest(module).max() / largest(module).median() < ratio / 4


@pytest.mark.parametrize("kind", [example.Block, example.Swish])
def test_a_model_without_layer_norms_is_left_alone(kind: type) -> None:
    module = example.folded(kind)
    assert equalization.changes(module, example.BATCHES) == []


@pytest.mark.parametrize("strength", [0.0, 0.25, 1.0])
def test_the_strength_says_whose_channels_become_even(strength: float) -> None:
    """s = max|x|^a / max|w|^(1 - a): afterwards max|x| is (x w)^(1 - a) and max|w| is (x w)^a."""
    module = spiky()
    x = largest(module)
    (first, _) = equalization.changes(module, example.BATCHES, strength)
    w = torch.stack([matrix.detach().abs().amax(0) for matrix in first.multiplied]).amax(0)
    first.apply()
    torch.testing.assert_close(largest(module), (x * w) ** (1 - strength), rtol=1e-4, atol=1e-6)
    now = torch.stack([matrix.detach().abs().amax(0) for matrix in first.multiplied]).amax(0)
    torch.testing.assert_close(now, (x * w) ** strength, rtol=1e-4, atol=1e-6)
    first.undo()
    torch.testing.assert_close(largest(module), x, rtol=1e-5, atol=1e-6)
