"""Tokens of which some are padding: means, zeros, and what a loss that does not name the mask is given."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.padding import clear_layers
from edgekd.learn.mathematics.padding import pool_tokens
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.method.loss import TermPart

MASK = torch.tensor([[1, 1, 0], [0, 0, 0]])
TOKENS = torch.tensor([[[1.0], [3.0], [90.0]], [[90.0], [90.0], [90.0]]])


def test_a_mean_is_over_tokens_alone() -> None:
    assert pool_tokens(TOKENS, MASK).tolist() == [[2.0], [0.0]]
    assert pool_tokens(TOKENS[:1]).item() == pytest.approx(94 / 3)


def test_zeros_stand_for_padding_and_maps_stay() -> None:
    assert clear_layers(TOKENS, MASK).flatten().tolist() == [1, 3, 0, 0, 0, 0]
    maps = torch.ones(2, 3, 4, 4)
    assert torch.equal(clear_layers((maps, TOKENS), MASK)[0], maps)
    assert clear_layers(None, MASK) is None


class Shifted(nn.Module):
    """Adds the mean over all tokens it is given, and one."""

    def forward(self, student_features: Tensor) -> dict[str, Tensor]:
        return {"student_features": student_features + student_features.mean() + 1}


def test_what_learns_beside_neither_sees_padding_nor_adds_to_it() -> None:
    part = TermPart({}, Shifted(), ("student_features",))
    term = BoundTerm("own", 1.0, ("student_features",), torch.sum, parts=(part,))
    value = term.value({"student_features": TOKENS, "token_mask": MASK})
    assert value.item() == pytest.approx((1 + 3) + 2 * (4 / 6) + 2)
