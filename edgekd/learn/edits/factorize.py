"""Edit `factorize`: named layers become chains of smaller ones (see `edgekd.learn.lowrank.chain`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any

from pydantic import Field
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.lowrank import chain
from edgekd.settings import Settings

Rank = Annotated[int, Field(ge=1, le=2**20)]


class FactorizedLayer(Settings):
    """One layer that was split."""

    path: Annotated[str, Field(min_length=1, max_length=1000)]
    """Of the module."""
    structure: chain.Structure
    ranks: Annotated[tuple[Rank, ...], Field(min_length=1, max_length=2, strict=False)]
    """One, or for ``tucker2`` two."""


class FactorizeEdit(Settings):
    """The fields of this edit in a blueprint."""

    layers: Annotated[
        tuple[FactorizedLayer, ...], Field(min_length=1, max_length=100_000, strict=False)
    ]


def apply(model: nn.Module, edit: Mapping[str, Any], interface: Interface) -> nn.Module:
    """`model` with each named layer replaced by its chain, freshly initialised.

    Args:
        model: is changed in place.
        edit: ``{"layers": [{"path", "structure", "ranks"}, ...]}``.
        interface: what the model takes; not looked at.

    Raises:
        ValueError: if there is no such layer, or a structure or rank does not fit it.
    """
    for layer in FactorizeEdit.model_validate(dict(edit)).layers:
        old = dict(model.named_modules()).get(layer.path)
        if type(old) not in (nn.Conv2d, nn.Linear):
            raise ValueError(f"{layer.path}: got {type(old).__name__}, want a Conv2d or a Linear")
        assert isinstance(old, nn.Conv2d | nn.Linear)
        if isinstance(old, nn.Conv2d) and old.groups != 1:
            raise ValueError(f"{layer.path}: got a convolution of {old.groups} groups, want one")
        try:
            parts = chain.split_layer(chain.describe_layer(old), layer.structure, layer.ranks)
        except ValueError as error:
            raise ValueError(f"{layer.path}: {error}") from error
        chain.replace_layer(model, layer.path, chain.build_chain(parts))
    return model
