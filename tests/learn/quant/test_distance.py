"""Each kind of output is measured by what it means, and several by their mean."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch import fx
from torch import nn
from torch.nn import functional

from edgekd.interface import Tensor as End
from edgekd.learn.quant.distance import mean_distance

LOGITS = End("logits", "float32", ("batch", 3), "logits", class_axis=1)
DENSE = End("logits", "float32", ("batch", 3, 2, 2), "logits", class_axis=1)
SINGLE = End("logits", "float32", ("batch", 3), "logits")
VALUES = End("values", "float32", ("batch", 3))


class Shifted(nn.Module):
    """Gives its inputs, each shifted."""

    def __init__(self, *shifts: Tensor) -> None:
        super().__init__()
        self.shifts = shifts

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...] | Tensor:
        shifted = tuple(x + shift for x, shift in zip(inputs, self.shifts, strict=True))
        return shifted if len(shifted) > 1 else shifted[0]


def distance(want: list[tuple[Tensor, ...]], shifts: tuple[Tensor, ...], *ends: End) -> float:
    module = Shifted(*shifts)
    assert isinstance(module, nn.Module) and not isinstance(module, fx.GraphModule)
    return mean_distance(module, want, lambda: want, ends)  # type: ignore[arg-type]


def test_of_logits_it_is_the_divergence_by_hand() -> None:
    """From (1/2, 1/4, 1/4) to (1/4, 1/2, 1/4): KL = 1/2 log 2 - 1/4 log 2."""
    want = torch.tensor([[0.5, 0.25, 0.25]]).log()
    shift = torch.tensor([[0.25, 0.5, 0.25]]).log() - want
    assert distance([(want,)], (shift,), LOGITS) == pytest.approx(math.log(2) / 4, rel=1e-6)
    batches = [(want,), (want.expand(3, 3),)]  # of four samples, not of two batches
    assert distance(batches, (shift,), LOGITS) == pytest.approx(math.log(2) / 4, rel=1e-6)


def test_of_dense_logits_it_is_the_mean_over_places() -> None:
    want, shift = torch.randn(2, 3, 2, 2), torch.randn(1, 3, 2, 2)
    rows = [each.permute(0, 2, 3, 1).reshape(-1, 3) for each in (want, want + shift)]
    by_row = distance([(rows[0],)], (rows[1] - rows[0],), LOGITS)
    assert distance([(want,)], (shift,), DENSE) == pytest.approx(by_row, rel=1e-5)


def test_of_many_logits_it_is_the_same_computed_some_samples_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    want, shift = torch.randn(7, 3, 2, 2), torch.randn(7, 3, 2, 2)
    whole = distance([(want,)], (shift,), DENSE)
    monkeypatch.setattr("edgekd.learn.quant.distance.AT_ONCE", 2 * 3 * 2 * 2)
    sizes: list[int] = []
    kl_div = functional.kl_div

    def note(one: Tensor, other: Tensor, **more: Any) -> Tensor:
        sizes.append(len(one))
        return kl_div(one, other, **more)

    monkeypatch.setattr(functional, "kl_div", note)
    assert distance([(want,)], (shift,), DENSE) == pytest.approx(whole, rel=1e-9)
    assert sizes == [2, 2, 2, 1]


def test_of_logits_without_classes_each_is_a_probability() -> None:
    """From 1/2 to 1/4: KL = log 2 - 1/2 log 3 + ... = 1/2 log(1/2 / 1/4) + 1/2 log(1/2 / 3/4)."""
    shift = torch.full((1, 3), math.log(1 / 3))
    want = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)
    assert distance([(torch.zeros(4, 3),)], (shift,), SINGLE) == pytest.approx(want, rel=1e-6)


def test_of_values_it_is_the_relative_square_error() -> None:
    want = [(torch.tensor([[0.0, 1.0, 2.0]]),), (torch.tensor([[4.0, 5.0, 6.0]]),)]
    spread = sum((value - 3) ** 2 for value in (0, 1, 2, 4, 5, 6))
    shift = torch.tensor([[0.5, 0.0, 0.0]])
    assert distance(want, (shift,), VALUES) == pytest.approx(2 * 0.25 / spread, rel=1e-6)
    scaled = [(1000 * batch,) for (batch,) in want]
    assert distance(scaled, (1000 * shift,), VALUES) == pytest.approx(2 * 0.25 / spread, rel=1e-6)


def test_a_value_that_never_changes_is_no_division_by_zero() -> None:
    want = [(torch.ones(2, 3),)]
    assert distance(want, (torch.zeros(1, 3),), VALUES) == 0
    assert distance(want, (torch.ones(1, 3),), VALUES) == pytest.approx(6)


def test_of_several_outputs_it_is_the_mean_and_whole_numbers_do_not_count() -> None:
    want = torch.randn(4, 3)
    shifts = (torch.tensor([[0.3, 0.0, 0.0]]), torch.tensor([[0.0, 0.2, 0.0]]))
    alone = distance([(want,)], shifts[:1], LOGITS), distance([(want,)], shifts[1:], VALUES)
    both = distance([(want, want)], shifts, LOGITS, VALUES)
    assert both == pytest.approx(sum(alone) / 2, rel=1e-6)
    numbers = End("named", "int64", ("batch", 3), "index")
    three = distance(
        [(want, want, want.long())], (*shifts, torch.tensor(5)), LOGITS, VALUES, numbers
    )
    assert three == both
