"""What there is for each layer: structures at aligned ranks, with what each would lose and cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.arrays import Calibration
from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank import factors
from edgekd.learn.lowrank import moments
from edgekd.learn.lowrank import ranks
from edgekd.learn.lowrank.chain import PlainLayer
from edgekd.learn.lowrank.choice import Offer
from edgekd.learn.lowrank.choice import SplittableLayer
from edgekd.learn.lowrank.layers import LayerUse
from edgekd.progress import Progress

DENSE = "dense"


class OfferRequest(NamedTuple):
    """The structures and ranks to be offered."""

    structure: str
    """``auto`` or a name of `chain.Structure`."""
    ranks: Literal["measured", "energy", "evbmf"]
    energy: float
    """The share of the singular values' energy that ``energy`` keeps."""
    multiple: int
    """Ranks are multiples of it."""
    most: int
    """Ranks of one structure of a layer that are looked at."""
    data_aware: bool
    """Whether inputs count as calibration shows them, or all alike."""


def make_offers(
    model: nn.Module,
    sites: Sequence[LayerUse],
    data: Calibration,
    wanted: OfferRequest,
    progress: Progress,
) -> list[SplittableLayer]:
    """List the layers that may be split, each with its offers; their times are not known yet.

    The error is always that on calibration data, for plain factors too.
    """
    parts = {site.path: site.part for site in sites if site.part is not None and not site.reason}
    parts = {
        path: part for path, part in parts.items() if ranks.find_structures(part, wanted.structure)
    }
    shapes = {site.path: site.shape for site in sites}
    found: list[SplittableLayer] = []
    for path, seen in moments.second_moments(model, parts, data):
        progress.update(len(found), len(parts), f"ranks of {path}")
        weight = read_weight(model.get_submodule(path))
        part, shape = parts[path], shapes[path]
        dense = _offer(DENSE, (), (part,), 0.0, shape)
        offers = _offers(weight, seen, part, shape, wanted)
        found.append(SplittableLayer(path, shape, dense, tuple(offers)))
    return found


def read_weight(layer: nn.Module) -> Tensor:
    """Return [O, I, kh, kw] of a plain layer, float64 on the CPU."""
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    weight = layer.weight.detach().double().cpu()
    return weight if weight.ndim == 4 else weight[:, :, None, None]


def choose_moments(seen: Tensor, data_aware: bool) -> Tensor:
    """Return the moments that factors are made for."""
    return seen if data_aware else torch.eye(len(seen), dtype=seen.dtype)


def _offers(
    weight: Tensor, seen: Tensor, part: PlainLayer, shape: tuple[int, ...], wanted: OfferRequest
) -> list[Offer]:
    offers = []
    used = choose_moments(seen, wanted.data_aware)
    for structure in ranks.find_structures(part, wanted.structure):
        for each in _ranks(weight, used, part, structure, wanted):
            made = factors.factorize(weight, used, structure, each)
            error = factors.output_error(weight, factors.multiply_factors(made), seen)
            offers.append(
                _offer(structure, each, chain.split_layer(part, structure, each), error, shape)
            )
    return offers


def _ranks(
    weight: Tensor, used: Tensor, part: PlainLayer, structure: str, wanted: OfferRequest
) -> list[ranks.Ranks]:
    if wanted.ranks == "measured":
        return ranks.list_ranks(part, structure, multiple=wanted.multiple, most=wanted.most)
    unfolded = ranks.unfold_weight(weight, used, structure)
    energy = wanted.ranks == "energy"
    found = ranks.by_energy(unfolded, wanted.energy) if energy else ranks.by_noise(unfolded)
    fitted = ranks.align_ranks(part, structure, found, wanted.multiple)
    return [] if fitted is None else [fitted]


def _offer(
    structure: str, each: ranks.Ranks, parts: chain.Chain, error: float, shape: tuple[int, ...]
) -> Offer:
    costs = {"macs": chain.count_macs(parts, shape), "parameters": chain.count_parameters(parts)}
    return Offer(structure, each, parts, error, **costs)
