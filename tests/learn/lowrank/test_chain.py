"""Chains: what they cost, counted by torch; what is refused; where they are put."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank.chain import PlainLayer

CONV = PlainLayer(16, 24, True, (3, 3), (2, 2), (1, 1))


@pytest.mark.parametrize(
    ("part", "structure", "ranks", "shape"),
    [
        (CONV, "reshape", (8,), (16, 9, 10)),
        (CONV, "spatial", (8,), (16, 9, 10)),
        (CONV, "tucker2", (8, 5), (16, 9, 10)),
        (PlainLayer(16, 24, False), "svd", (8,), (7, 16)),
        (PlainLayer(16, 24, False), "svd", (8,), (16,)),
    ],
)
def test_costs_are_those_torch_counts(
    part: PlainLayer, structure: str, ranks: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    for parts in ((part,), chain.split_layer(part, structure, ranks)):
        model, counter = chain.build_chain(parts), FlopCounterMode(display=False)
        with torch.no_grad(), counter:
            model(torch.zeros(1, *shape))
        assert chain.count_macs(parts, shape) == counter.get_total_flops() // 2
        assert chain.count_parameters(parts) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("part", "structure", "ranks", "message"),
    [
        (CONV, "svd", (8,), "does not fit"),
        (CONV, "cp", (8,), "does not fit"),
        (PlainLayer(8, 8, False), "reshape", (8,), "does not fit"),
        (CONV, "tucker2", (8,), "want 2"),
        (CONV, "reshape", (0,), "want 1 to 24"),
        (CONV, "tucker2", (17, 8), "want 1 to 16"),
    ],
)
def test_what_does_not_fit_is_refused(
    part: PlainLayer, structure: str, ranks: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        chain.split_layer(part, structure, ranks)


def test_a_chain_takes_the_place_and_the_mode_of_its_layer() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 4)), nn.ReLU()).double().eval()
    chain.replace_layer(
        model, "0.0", chain.build_chain(chain.split_layer(PlainLayer(4, 4, True), "svd", (2,)))
    )
    assert list(model.state_dict()) == ["0.0.0.weight", "0.0.1.weight", "0.0.1.bias"]
    assert not any(module.training for module in model.modules())
    assert model(torch.zeros(1, 4, dtype=torch.float64)).dtype == torch.float64
