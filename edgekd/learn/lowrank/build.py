"""A model with layers split: its edit, and weights fitted layer by layer to what the dense one says."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from edgekd.learn.arrays import Calibration
from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank import factors
from edgekd.learn.lowrank import moments
from edgekd.learn.lowrank import offers
from edgekd.learn.lowrank.choice import Offer

EDIT = "factorize"


def build_edit(chosen: Mapping[str, Offer]) -> dict[str, Any]:
    """Build the blueprint's edit (`edgekd.learn.edits.factorize`)."""
    rows = [
        {"path": path, "structure": offer.structure, "ranks": list(offer.ranks)}
        for path, offer in chosen.items()
    ]
    return {"name": EDIT, "layers": rows}


def split_untrained(model: nn.Module, chosen: Mapping[str, Offer]) -> nn.Module:
    """Copy `model` with its chosen layers as chains of arbitrary weights: to be timed."""
    changed = copy.deepcopy(model)
    for path, offer in chosen.items():
        chain.replace_layer(changed, path, chain.build_chain(offer.parts))
    return changed


def split_and_fit(
    model: nn.Module, chosen: Mapping[str, Offer], data: Calibration, *, data_aware: bool
) -> nn.Module:
    """Copy `model` with its chosen layers as chains that answer like it.

    In the order of `chosen`: each layer is factorized for what it sees in the network as it stands
    by then, and its last factor fitted by least squares to what the dense layer says in the dense
    network, so that it also makes up for what the layers before it lose.

    Args:
        model: the dense one, in evaluation mode; is not touched.
        chosen: offers by path, in the order in which the layers run.
        data: what both networks are shown.
        data_aware: False takes plain factors, and leaves them as they are.

    Raises:
        InputError: if a layer sees or says what is not finite.
    """
    changed = copy.deepcopy(model)
    for path, offer in chosen.items():
        layer = changed.get_submodule(path)
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        weight = offers.read_weight(layer)
        part = chain.describe_layer(layer)
        if data_aware:
            ((_, seen),) = moments.second_moments(changed, {path: part}, data)
        else:
            seen = torch.eye(part.inputs * part.taps, dtype=torch.float64)
        made = factors.factorize(weight, seen, offer.structure, offer.ranks)
        new = chain.build_chain(offer.parts, made)
        if layer.bias is not None:
            with torch.no_grad():
                new[-1].bias.copy_(layer.bias)
        chain.replace_layer(changed, path, new)
        if data_aware:
            _fit_last(model, path, changed, data)
    return changed


def _fit_last(dense: nn.Module, path: str, model: nn.Module, data: Calibration) -> None:
    """Put into the last factor at `path` the weights of least squared error."""
    new = model.get_submodule(path)
    assert isinstance(new, nn.Sequential)
    weight = new[-1].weight
    squares, products = moments.regression_moments(dense, path, model, data)
    start = weight.detach().double().cpu().flatten(1)
    with torch.no_grad():
        weight.copy_(factors.least_squares(start, squares, products).reshape(weight.shape))
