"""The weights of a chain that answers as a dense layer does, as nearly as its ranks allow.

The inputs of a layer count with their second moments C = E[x x^T] (x one patch of its input, in
im2col order): what is small is E |W x - V x|^2, not |W - V|^2. Truncated singular values of W C^1/2
are then the error itself (Wang et al. 2025, SVD-LLM, arXiv:2403.07378, theorem 3.2). C = 1 is plain.
All in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

DAMPING = 1e-6
"""Of the mean second moment, added to all: what calibration never showed still counts a little."""
SMALLEST = 1e-7
"""A singular value below this share of the largest is taken for it, where one divides by it."""
TURNS = 10
"""Of the alternation for `tucker2`; it settles in a few."""


def factorize(
    weight: Tensor, moments: Tensor, structure: str, ranks: Sequence[int]
) -> list[Tensor]:
    """The factors' weights, first to last, each [O, I, kh, kw]; balanced.

    The first factors are the best for moments that do not couple what they separate, the last one
    is the best there is after them. At full rank the chain is the layer.

    Args:
        weight: [O, I, kh, kw]; a linear layer's is [O, I, 1, 1].
        moments: [I kh kw, I kh kw], symmetric and not negative.
        structure: see `edgekd.learn.lowrank.chain`.
        ranks: as `chain.split_layer` takes them.
    """
    weight, moments = weight.double(), _damped(moments.double())
    if structure == "tucker2":
        return _tucker2(weight, moments, ranks[0], ranks[1])
    if structure == "spatial":
        return _spatial(weight, moments, ranks[0])
    first, last = _reduced(weight.flatten(1), moments, ranks[0])
    return [first.reshape(-1, *weight.shape[1:]), last[:, :, None, None]]


def multiply_factors(factors: Sequence[Tensor]) -> Tensor:
    """Multiply a chain of factors out to the dense weight [O, I, kh, kw]."""
    first, *rest = factors
    for factor in rest:
        if factor.shape[2] == 1 < factor.shape[3]:  # kh x 1 then 1 x kw
            first = torch.einsum("orw,rih->oihw", factor[:, :, 0], first[:, :, :, 0])
        elif factor.shape[2:] == (1, 1):
            first = torch.einsum("or,rihw->oihw", factor[:, :, 0, 0], first)
        else:  # 1x1 then the kernel
            first = torch.einsum("orhw,ri->oihw", factor, first[:, :, 0, 0])
    return first


def output_error(weight: Tensor, other: Tensor, moments: Tensor) -> float:
    """E |W x - V x|^2 / E |W x|^2 for two weights of one shape."""
    dense = weight.double().flatten(1)
    apart = dense - other.double().flatten(1)
    whole = torch.einsum("oi,ij,oj->", dense, moments, dense).item()
    return (
        max(0.0, torch.einsum("oi,ij,oj->", apart, moments, apart).item() / whole) if whole else 0.0
    )


def least_squares(start: Tensor, squares: Tensor, products: Tensor) -> Tensor:
    """The map L [O, F] with the least E |y - L z|^2, given E[z z^T] [F, F] and E[y z^T] [O, F].

    Along what z hardly ever shows (`DAMPING`) it stays as `start` is.
    """
    missing = products - start @ squares
    return start + torch.linalg.solve(_damped(squares), missing.T).T


def _reduced(dense: Tensor, moments: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """The best [r, F] and [O, r] whose product maps as `dense` [O, F]: the outputs' main directions.

    With W C^1/2 = A S B^T these are S^-1/2 A_r^T W and A_r S^1/2: C need not be inverted.
    """
    values, vectors = torch.linalg.eigh(dense @ moments @ dense.T)
    singular = values.flip(0)[:rank].clamp_min(0).sqrt()
    directions = vectors.flip(1)[:, :rank]
    root = _divisible(singular).sqrt()
    return (directions / root).T @ dense, directions * root


def _spatial(weight: Tensor, moments: Tensor, rank: int) -> list[Tensor]:
    outputs, inputs, height, width = weight.shape
    blocks = moments.reshape(inputs, height, width, inputs, height, width)
    columns = torch.einsum("ihwjgw->ihjg", blocks).reshape(inputs * height, -1) / width
    matrix = weight.permute(1, 2, 0, 3).reshape(inputs * height, outputs * width)
    values, vectors = torch.linalg.eigh(matrix.T @ columns @ matrix)
    root = _divisible(values.flip(0)[:rank].clamp_min(0).sqrt()).sqrt()
    basis = vectors.flip(1)[:, :rank]
    first = ((matrix @ basis) / root).T.reshape(rank, inputs, height, 1)
    last = (basis * root).T.reshape(rank, outputs, width).permute(1, 0, 2)
    # the last factor sees z = P x, r columns at each of the kernel's width: P C, then P C P^T
    half = torch.einsum("rih,ihwjgx->rwjgx", first[:, :, :, 0], blocks)
    squares = torch.einsum("rwjgx,vjg->rwvx", half, first[:, :, :, 0])
    last = least_squares(
        last.reshape(outputs, -1),
        squares.reshape(rank * width, -1),
        weight.flatten(1) @ half.reshape(rank * width, -1).T,
    )
    return [first, last.reshape(outputs, rank, 1, width)]


def _tucker2(weight: Tensor, moments: Tensor, before: int, after: int) -> list[Tensor]:
    outputs, inputs, height, width = weight.shape
    taps = height * width
    blocks = moments.reshape(inputs, taps, inputs, taps)
    channels = torch.einsum("itjt->ij", blocks) / taps
    values, vectors = torch.linalg.eigh(channels)
    root = _divisible(values).sqrt()
    whitened = torch.einsum("oit,ij->ojt", weight.flatten(2), (vectors * root) @ vectors.T)
    basis = find_main_channels(whitened, before, after)
    first = basis.T @ (vectors / root) @ vectors.T
    # the kernel sees z = P x, s channels at each of its taps: P C, then P C P^T
    half = torch.einsum("si,itju->stju", first, blocks)
    squares = torch.einsum("stju,vj->stvu", half, first).reshape(before * taps, -1)
    middle = least_squares(
        torch.einsum("oit,is->ost", whitened, basis).reshape(outputs, -1),
        squares,
        weight.flatten(1) @ half.reshape(before * taps, -1).T,
    )
    core, last = _reduced(middle, squares, after)
    core = core.reshape(after, before, taps)
    share = _divisible(core.square().sum((0, 2)).sqrt()).sqrt()
    core = (core / share[None, :, None]).reshape(after, before, height, width)
    return [(first * share[:, None])[:, :, None, None], core, last[:, :, None, None]]


def find_main_channels(tensor: Tensor, before: int, after: int) -> Tensor:
    """The basis [I, s] of input channels of the best Tucker-2 approximation of [O, I, T] at ranks
    (s, r): higher-order orthogonal iteration (De Lathauwer et al. 2000, algorithm 4.2)."""
    basis = _leading(tensor.permute(1, 0, 2).flatten(1), before)
    if before == tensor.shape[1] or after == tensor.shape[0]:
        return basis
    for _ in range(TURNS):
        outputs = _leading(torch.einsum("oit,is->ost", tensor, basis).flatten(1), after)
        basis = _leading(torch.einsum("oit,or->irt", tensor, outputs).flatten(1), before)
    return basis


def _leading(matrix: Tensor, rank: int) -> Tensor:
    """The first left singular vectors [rows, rank]."""
    return torch.linalg.eigh(matrix @ matrix.T)[1].flip(1)[:, :rank]


def _damped(moments: Tensor) -> Tensor:
    """Moments under which no direction is quite without weight."""
    more = DAMPING * float(moments.diagonal().mean()) or 1.0
    return moments + more * torch.eye(len(moments), dtype=moments.dtype)


def _divisible(values: Tensor) -> Tensor:
    return values.clamp_min(SMALLEST * float(values.max()) or 1.0)
