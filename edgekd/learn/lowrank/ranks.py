"""Which ranks of a layer are worth a look: a grid, or one by its energy or its noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank import evbmf
from edgekd.learn.lowrank.chain import PlainLayer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Ranks = tuple[int, ...]


def find_structures(part: PlainLayer, structure: str) -> list[str]:
    """Return the structures that `part` may have: of all (``auto``), or of the one named.

    What has one tap has but ``svd``, and that whatever is named.
    """
    if part.taps == 1:
        return ["svd"]
    known = [name for name in ("reshape", "spatial", "tucker2") if structure in ("auto", name)]
    square = part.kernel is not None and min(part.kernel) > 1
    return [name for name in known if square or name != "spatial"]


def list_ranks(part: PlainLayer, structure: str, *, multiple: int, most: int) -> list[Ranks]:
    """List at most `most` ranks, multiples of `multiple`, with fewer parameters than the dense layer.

    Evenly spaced; the smallest and the largest are among them. Both ranks of ``tucker2`` are the
    same share of their channels.
    """
    full = chain.full_ranks(part, structure)
    smallest = min(full)
    found: dict[Ranks, None] = {}
    for rank in range(multiple, smallest, multiple):
        ranks = tuple(align_rank(side * rank / smallest, multiple) for side in full)
        if chain.count_parameters(chain.split_layer(part, structure, ranks)) < part.parameters:
            found[ranks] = None
    ordered = list(found)
    if len(ordered) <= most:
        return ordered
    steps = [round(i * (len(ordered) - 1) / max(1, most - 1)) for i in range(most)]
    return [ordered[i] for i in dict.fromkeys(steps)]


def align_rank(rank: float, multiple: int) -> int:
    """Return the nearest multiple, at least one."""
    return max(1, round(rank / multiple)) * multiple


def by_energy(unfoldings: list[NDArray[np.float64]], share: float) -> list[int]:
    """For each unfolding the smallest rank whose singular values hold `share` of the energy."""
    import numpy as np

    found = []
    for matrix in unfoldings:
        energy = np.linalg.svd(matrix, compute_uv=False) ** 2
        held = np.cumsum(energy) / max(energy.sum(), 1e-300)
        found.append(int(np.searchsorted(held, share - 1e-12)) + 1)
    return found


def by_noise(unfoldings: list[NDArray[np.float64]]) -> list[int]:
    """For each unfolding the rank above its noise (`edgekd.learn.lowrank.evbmf`)."""
    return [evbmf.estimate_rank(matrix) for matrix in unfoldings]


def align_ranks(part: PlainLayer, structure: str, wanted: list[int], multiple: int) -> Ranks | None:
    """Round `wanted` up to the multiple; None where that saves no parameters."""
    ranks = tuple(math.ceil(max(1, rank) / multiple) * multiple for rank in wanted)
    full = chain.full_ranks(part, structure)
    if any(rank > most for rank, most in zip(ranks, full, strict=True)):
        return None
    smaller = chain.count_parameters(chain.split_layer(part, structure, ranks)) < part.parameters
    return ranks if smaller else None


def unfold_weight(weight: Tensor, moments: Tensor, structure: str) -> list[NDArray[np.float64]]:
    """The matrices whose rank is that of a chain, one for each of its ranks; seen through what the
    layer sees.

    Args:
        weight: [O, I, kh, kw].
        moments: [I kh kw, I kh kw]; the identity for plain.
        structure: of the chain.
    """
    import torch

    values, vectors = torch.linalg.eigh(moments.double())
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    whitened = (weight.double().flatten(1) @ root).reshape(weight.shape)
    outputs = whitened.flatten(1).numpy()
    if structure == "tucker2":
        return [whitened.permute(1, 0, 2, 3).flatten(1).numpy(), outputs]
    if structure == "spatial":
        inputs, height = weight.shape[1:3]
        return [whitened.permute(1, 2, 0, 3).reshape(inputs * height, -1).numpy()]
    return [outputs]
