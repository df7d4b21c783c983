"""Layers are stored as they lie in memory, and embeddings as losses pool them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.knowledge.layers import StoredLayer
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.method.stored_layers import StoredTaps
from edgekd.learn.method.stored_layers import find_orders
from edgekd.learn.method.stored_layers import take_layers


class Network(nn.Module):
    """Hands a value on through a module that can be tapped."""

    def __init__(self) -> None:
        super().__init__()
        self.end = nn.Identity()

    def forward(self, value: Tensor) -> Tensor:
        passed: Tensor = self.end(value)
        return passed


def store_and_read(value: Tensor, shape: tuple[int, ...], *, is_pooled: bool = False) -> Tensor:
    network = Network()
    layers = StoredLayers((), "", (StoredLayer("end", shape, is_pooled),))
    found = find_orders(layers, network, lambda: network(value))
    taps = StoredTaps(found)
    with taps as read:
        taps.fill(take_layers(found, {"end": value}), torch.device("cpu"))
    return read["end"]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2), (1, 0, 2, 3)], ids=str)
def test_a_layer_comes_back_with_its_numbers_and_its_order_in_memory(
    order: tuple[int, ...],
) -> None:
    whole = torch.randn(5, 3, 4, 2).permute(order).contiguous()
    value = whole.permute([order.index(axis) for axis in range(4)])
    read = store_and_read(value, (3, 4, 2))
    assert torch.equal(read, value)
    assert order[0] != 0 or read.stride() == value.stride()


@pytest.mark.parametrize(("shape", "pooled"), [((3, 4, 4), (3,)), ((6, 3), (3,)), ((3,), (3,))])
def test_an_embedding_is_stored_as_losses_pool_it(
    shape: tuple[int, ...], pooled: tuple[int, ...]
) -> None:
    value = torch.randn(5, *shape)
    want = {3: lambda: value.flatten(2).mean(2), 2: lambda: value.mean(1), 1: lambda: value}
    read = store_and_read(value, pooled, is_pooled=True)
    assert torch.equal(read, want[len(shape)]())


def test_a_layer_that_is_not_what_was_found_before_is_refused() -> None:
    with pytest.raises(ValueError, match="got layer 'end' of \\[3\\], want \\[4\\]"):
        store_and_read(torch.randn(5, 3), (4,))
    layers = StoredLayers((), "", (StoredLayer("end", (3,), False),))
    with pytest.raises(ValueError, match="through which no tensor passes"):
        find_orders(layers, Network(), lambda: None)
