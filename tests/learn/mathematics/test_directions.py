"""Lengths and directions by hand, and their gradients where they vanish."""

from __future__ import annotations

import math

import pytest
import torch

from edgekd.learn.mathematics.directions import cosines
from edgekd.learn.mathematics.directions import differences
from edgekd.learn.mathematics.directions import length
from edgekd.learn.mathematics.directions import root
from edgekd.learn.mathematics.directions import unit

ROWS = [[3.0, -4.0], [0.0, 0.0], [1e-20, 0.0]]


def test_units_by_hand() -> None:
    rows = torch.tensor(ROWS, dtype=torch.float64)
    assert length(rows).flatten().tolist() == pytest.approx([5, 0, 1e-20])
    assert unit(rows).flatten().tolist() == pytest.approx([0.6, -0.8, 0, 0, 1, 0])
    assert unit(rows, order=1.0)[0].tolist() == pytest.approx([3 / 7, -4 / 7])
    assert unit(rows, tiny=5.0)[0].tolist() == pytest.approx([0.3, -0.4])
    assert unit(rows.T, dim=0).T.tolist() == unit(rows).tolist()


def test_what_is_zero_has_no_gradient() -> None:
    rows = torch.tensor(ROWS[:2], dtype=torch.float64, requires_grad=True)
    unit(rows)[:, 0].sum().backward()
    assert rows.grad is not None
    assert rows.grad.flatten().tolist() == pytest.approx([0.2 * 0.64, 0.2 * 0.48, 0, 0])
    squares = torch.tensor([4.0, 0.0, -1e-9], requires_grad=True)
    root(squares).sum().backward()
    assert root(squares).tolist() == [2.0, 0.0, 0.0]
    assert squares.grad is not None and squares.grad.tolist() == [0.25, 0.0, 0.0]


def test_pairs_by_hand() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert differences(rows)[0].tolist() == [[0, 0], [0, 1], [-1, 0]]
    assert differences(rows)[1, 2].tolist() == [-1, -1]
    assert cosines(rows)[0].tolist() == pytest.approx([1, math.sqrt(0.5), 0])
