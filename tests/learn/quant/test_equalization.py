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
    assert equalization.equalize(module, example.BATCHES) == 2
    with torch.no_grad():
        torch.testing.assert_close(module(example.images()), before, rtol=1e-3, atol=1e-4)
    assert largest(module).max() / largest(module).median() < ratio / 4


@pytest.mark.parametrize("kind", [example.Block, example.Swish])
def test_a_model_without_layer_norms_is_left_alone(kind: type) -> None:
    module = example.folded(kind)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert equalization.equalize(module, example.BATCHES) == 0
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
