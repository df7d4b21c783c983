"""Where features of two networks meet, and how they get there."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import pool_maps
from edgekd.learn.mathematics.fitting import rows
from edgekd.learn.mathematics.fitting import shared_places

Shape = tuple[int, ...]


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("one", "other", "want"),
    [
        ((2, 3), (2, 5), ()),
        ((2, 9, 3), (2, 9, 5), (9,)),
        ((2, 10, 3), (2, 10, 5), (10,)),
        ((2, 10, 3), (2, 9, 5), (3, 3)),
        ((2, 17, 3), (2, 10, 5), (3, 3)),
        ((2, 3, 8, 6), (2, 5, 4, 7), (4, 6)),
        ((2, 3, 8, 8), (2, 17, 5), (4, 4)),
        ((2, 3, 2, 6), (2, 13, 5), (2, 6)),
        ((2, 3, 2, 6), (2, 12, 5), (2, 6)),
        ((2, 3, 7, 7), (2, 2, 5), (1, 1)),
    ],
)
def test_both_are_brought_to_the_same_places(one: Shape, other: Shape, want: Shape) -> None:
    assert shared_places(one, other) == shared_places(other, one) == want
    for shape, beside in ((one, other), (other, one)):
        fitted = match_places(drawn(*shape), beside)
        width = shape[1] if len(shape) == 4 else shape[-1]
        laid_out = (2, width, *want) if len(want) == 2 else (2, *want, width)
        assert fitted.shape == laid_out


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((2, 3), (3, 3, 4)),
        ((2, 3), (2, 3, 4, 4, 4)),
        ((3, 3, 4, 4), (2, 3, 4, 4)),
        ((2, 12, 5), (2, 9, 5)),
        ((2,), (2,)),
    ],
)
def test_what_does_not_go_together_is_refused(one: Shape, other: Shape) -> None:
    with pytest.raises(ValueError, match="want"):
        shared_places(one, other)


def test_maps_may_be_insisted_on() -> None:
    assert shared_places((2, 10, 3), (2, 10, 5), maps=True) == (3, 3)
    assert match_places(drawn(2, 10, 3), (2, 10, 5), maps=True).shape == (2, 3, 3, 3)
    with pytest.raises(ValueError, match=r"want two \[B, N, D\] or \[B, C, H, W\]"):
        shared_places((2, 3), (2, 3), maps=True)


@pytest.mark.parametrize("sides", [(3, 3), (2, 4), (5, 2), (1, 1), (5, 7), (4, 5)])
def test_pooling_is_torch_s_in_value_and_gradient(sides: tuple[int, int]) -> None:
    ours, theirs = (drawn(2, 3, 5, 7).requires_grad_() for _ in range(2))
    one, other = pool_maps(ours, sides), F.adaptive_avg_pool2d(theirs, sides)
    assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)
    weights = drawn(*other.shape)
    (one * weights).sum().backward()
    (other * weights).sum().backward()
    assert ours.grad is not None and theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)


def test_a_class_token_is_dropped_and_the_rest_keeps_its_order() -> None:
    maps = drawn(2, 3, 4, 4)
    tokens = torch.cat([drawn(2, 1, 3) + 100, maps.flatten(2).transpose(1, 2)], dim=1)
    assert torch.equal(match_places(tokens, (2, 5, 8, 8)), maps)
    assert torch.equal(match_places(tokens, (2, 16, 5)), maps)


def test_half_precision_is_widened_and_the_rest_is_left_alone() -> None:
    maps = drawn(2, 3, 4, 4)
    assert match_places(maps, (2, 5, 4, 4)) is maps
    assert match_places(maps.half(), (2, 5, 2, 2)).dtype == torch.float32


def test_rows_are_channels_by_places() -> None:
    maps = drawn(2, 3, 4, 5)
    assert torch.equal(rows(maps)[1, 2], maps[1, 2].flatten())
    tokens = drawn(2, 7, 3)
    assert torch.equal(rows(tokens)[1, 2], tokens[1, :, 2])
    assert rows(drawn(2, 3)).shape == (2, 3, 1)
