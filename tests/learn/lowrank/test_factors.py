"""Factors against numpy's singular values, explicit reconstruction and torch's own convolutions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch import nn

from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank import factors

LAYERS = [
    nn.Conv2d(6, 10, 3, 1, 1),
    nn.Conv2d(6, 10, 3, (2, 1), (1, 0), bias=False),
    nn.Conv2d(10, 6, (3, 5), 2, (2, 1), (2, 1)),
    nn.Conv2d(6, 8, (2, 3), padding="same"),
    nn.Conv2d(6, 8, 3, padding="valid"),
    nn.Conv2d(6, 10, 1, 2),
    nn.Conv2d(6, 10, 1, 1, 1),
    nn.Linear(6, 10),
]
CASES = [
    (layer, structure)
    for layer in LAYERS
    for structure in (
        ("reshape", "spatial", "tucker2") if chain.describe_layer(layer).taps > 1 else ("svd",)
    )
]


def moments_of(inputs: int, rank: int | None = None, seed: int = 0) -> Tensor:
    """E[x x^T] of `inputs` numbers that hang together; of lower rank if asked."""
    random = torch.Generator().manual_seed(seed)
    mixing = torch.randn(inputs, rank or inputs, generator=random, dtype=torch.float64)
    return mixing @ mixing.T / inputs


def kernel(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weight_of(layer: nn.Conv2d | nn.Linear) -> Tensor:
    weight = layer.weight.detach()
    return weight if weight.ndim == 4 else weight[:, :, None, None]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even:UserWarning")
@pytest.mark.parametrize(("layer", "structure"), CASES, ids=str)
@pytest.mark.parametrize("known", [None, 4], ids=["", "seen little"])
def test_at_full_rank_the_chain_is_the_layer(
    layer: nn.Conv2d | nn.Linear, structure: str, known: int | None
) -> None:
    part, weight = chain.describe_layer(layer), weight_of(layer)
    ranks = chain.full_ranks(part, structure)
    found = factors.factorize(weight, moments_of(weight[0].numel(), known), structure, ranks)
    parts = chain.split_layer(part, structure, ranks)
    lowered = chain.build_chain(parts, found)
    if layer.bias is not None:
        with torch.no_grad():
            lowered[-1].bias.copy_(layer.bias)
    shape = (6,) if isinstance(layer, nn.Linear) else (part.inputs, 11, 9)
    x = torch.randn(3, *shape)
    with torch.no_grad():
        want, got = layer(x), lowered(x)
    assert got.shape == want.shape and (got - want).abs().max() < 1e-5
    torch.testing.assert_close(
        factors.multiply_factors(found), weight.double(), atol=1e-6, rtol=1e-5
    )
    assert chain.output_shape(part, shape) == tuple(want.shape[1:])


@pytest.mark.filterwarnings("ignore:Using padding='same' with even:UserWarning")
@pytest.mark.parametrize(("layer", "structure"), CASES, ids=str)
def test_below_full_rank_the_chain_is_its_effective_weight(
    layer: nn.Conv2d | nn.Linear, structure: str
) -> None:
    part, weight = chain.describe_layer(layer)._replace(bias=False), weight_of(layer)
    ranks = (3, 4)[: 1 + (structure == "tucker2")]
    found = factors.factorize(weight, moments_of(weight[0].numel()), structure, ranks)
    dense = chain.build_layer(part)
    with torch.no_grad():
        dense.weight.copy_(factors.multiply_factors(found).reshape(dense.weight.shape))
        x = torch.randn(2, *((6,) if isinstance(layer, nn.Linear) else (part.inputs, 11, 9)))
        got = chain.build_chain(chain.split_layer(part, structure, ranks), found)(x)
        assert (got - dense(x)).abs().max() < 1e-5


@pytest.mark.parametrize("known", [None, 20], ids=["", "seen little"])
def test_truncated_singular_values_are_the_output_error(known: int | None) -> None:
    weight, moments = kernel(12, 5, 3, 3), moments_of(45, known)
    values, vectors = np.linalg.eigh(moments.numpy())
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    singular = np.linalg.svd(weight.flatten(1).numpy() @ root, compute_uv=False)
    for rank in (1, 4, 11):
        found = factors.factorize(weight, moments, "reshape", [rank])
        got = factors.output_error(weight, factors.multiply_factors(found), moments)
        want = (singular[rank:] ** 2).sum() / (singular**2).sum()
        assert got == pytest.approx(want, rel=1e-4, abs=1e-7)  # moments are damped by 1e-6


def test_plain_is_the_truncated_svd_of_the_weight() -> None:
    weight = kernel(12, 20, 1, 1)
    u, s, vt = np.linalg.svd(weight[:, :, 0, 0].numpy())
    found = factors.factorize(weight, torch.eye(20), "svd", [5])
    want = (u[:, :5] * s[:5]) @ vt[:5]  # moments are damped by 1e-6, alike in all directions
    np.testing.assert_allclose(factors.multiply_factors(found)[:, :, 0, 0], want, atol=1e-9)
    first, last = (factor[:, :, 0, 0] for factor in found)
    # balanced: each side carries the root of its singular value
    np.testing.assert_allclose(first.norm(dim=1), np.sqrt(s[:5]), rtol=1e-6)
    np.testing.assert_allclose(last.norm(dim=0), np.sqrt(s[:5]), rtol=1e-6)


@pytest.mark.parametrize("structure", ["reshape", "spatial", "tucker2"])
def test_looking_at_the_inputs_never_costs(structure: str) -> None:
    weight, moments = kernel(12, 8, 3, 3), moments_of(72)
    ranks = [3, 4][: 1 + (structure == "tucker2")]
    errors = [
        factors.output_error(
            weight,
            factors.multiply_factors(factors.factorize(weight, seen, structure, ranks)),
            moments,
        )
        for seen in (moments, torch.eye(72))
    ]
    assert errors[0] < errors[1]


@pytest.mark.parametrize(("structure", "number"), [("spatial", 1), ("tucker2", 1), ("tucker2", 2)])
def test_no_other_factor_would_be_better(structure: str, number: int) -> None:
    """With the factors before it as they are; in every direction that was tried."""
    weight, moments = kernel(12, 8, 3, 3), moments_of(72)
    made = factors.factorize(weight, moments, structure, [3, 4][: 1 + (structure == "tucker2")])
    least = factors.output_error(weight, factors.multiply_factors(made), moments)
    for seed in range(20):
        moved = list(made)
        step = 1e-3 * made[number].abs().mean() * kernel(*made[number].shape, seed=seed)
        for sign in (1, -1):
            moved[number] = made[number] + sign * step
            assert factors.output_error(weight, factors.multiply_factors(moved), moments) >= least


def test_a_kernel_of_low_rank_is_found() -> None:
    """What was built with each structure at some rank is given back at that rank."""
    cases = {
        "reshape": ([kernel(3, 8, 3, 3), kernel(12, 3, 1, 1)], [3]),
        "spatial": ([kernel(3, 8, 3, 1), kernel(12, 3, 1, 3)], [3]),
        "tucker2": ([kernel(3, 8, 1, 1), kernel(4, 3, 3, 3), kernel(12, 4, 1, 1)], [3, 4]),
    }
    for structure, (made, ranks) in cases.items():
        weight = factors.multiply_factors(made)
        found = factors.factorize(weight, moments_of(72), structure, ranks)
        torch.testing.assert_close(factors.multiply_factors(found), weight, atol=1e-4, rtol=1e-4)


def test_tucker_is_as_good_as_a_numerical_search() -> None:
    """Plain Tucker-2 against gradient descent on its three factors from many starts."""
    weight = kernel(6, 5, 2, 2)
    ours = weight - factors.multiply_factors(
        factors.factorize(weight, torch.eye(20), "tucker2", [2, 3])
    )
    best = min(searched(weight, seed) for seed in range(4))
    assert ours.square().sum().item() == pytest.approx(best, rel=1e-3)


def searched(weight: Tensor, seed: int) -> float:
    """The squared error that gradient descent on the factors ends with."""
    made = [kernel(2, 5, 1, 1, seed=seed), kernel(3, 2, 2, 2), kernel(6, 3, 1, 1)]
    made = [(0.5 * factor).requires_grad_() for factor in made]
    optimizer = torch.optim.LBFGS(made, max_iter=300, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (weight - factors.multiply_factors(made)).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return closure().item()


def test_least_squares_leaves_what_was_never_seen() -> None:
    start, seen = kernel(4, 6), torch.diag(torch.tensor([1.0, 2, 3, 0, 0, 0])).double()
    target = kernel(4, 6, seed=2)
    found = factors.least_squares(start, seen, target @ seen)
    torch.testing.assert_close(found[:, :3], target[:, :3], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found[:, 3:], start[:, 3:])
    assert (factors.least_squares(start, 0 * seen, 0 * target) == start).all()


def test_the_error_is_that_of_real_outputs() -> None:
    x = torch.randn(500, 6, 1, 1, dtype=torch.float64)
    weight, other = kernel(7, 6, 1, 1), kernel(7, 6, 1, 1, seed=5)
    moments = x[:, :, 0, 0].T @ x[:, :, 0, 0] / 500
    dense, near = F.conv2d(x, weight), F.conv2d(x, other)
    want = ((dense - near) ** 2).sum() / (dense**2).sum()
    assert factors.output_error(weight, other, moments) == pytest.approx(want.item())


def test_a_layer_that_gives_nothing_loses_nothing() -> None:
    nothing = torch.zeros(3, 4, 1, 1)
    assert factors.output_error(nothing, nothing, torch.eye(4, dtype=torch.float64)) == 0
