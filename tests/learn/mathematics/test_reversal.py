"""Gradient reversal: nothing happens forwards, the sign turns backwards."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.mathematics.reversal import reverse_gradient


@pytest.mark.parametrize("strength", [1.0, 0.25, torch.tensor(0.5), 0])
def test_the_gradient_is_turned_and_the_value_is_not(strength: float | torch.Tensor) -> None:
    x = torch.tensor([1.0, -2.0, 3.0], requires_grad=True)
    y = reverse_gradient(x, strength)
    assert torch.equal(y, x)
    y.square().sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, -float(strength) * 2 * x.detach())


def test_what_lies_behind_it_learns_as_ever() -> None:
    x, weight = (torch.tensor(2.0, requires_grad=True) for _ in range(2))
    (reverse_gradient(x) * weight).backward()
    assert (x.grad, weight.grad) == (torch.tensor(-2.0), torch.tensor(2.0))


def test_half_precision_stays_half_precision() -> None:
    x = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    reverse_gradient(x, torch.tensor(0.5)).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == torch.bfloat16


def test_one_optimizer_plays_both_sides_of_a_saddle() -> None:
    """x y + (x^2 - y^2) / 2 has its minimum over x of the maximum over y at 0; descent alone runs off."""
    x, y = (torch.tensor(1.0, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([x, y], lr=0.1)
    for _ in range(200):
        up = reverse_gradient(y)
        optimizer.zero_grad()
        (x * up + (x**2 - up**2) / 2).backward()
        optimizer.step()
    assert (x.item(), y.item()) == (pytest.approx(0, abs=1e-4), pytest.approx(0, abs=1e-4))
