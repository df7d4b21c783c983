"""The edit ``quantize-weights``: the weights of some layers are stored in blocks, each with a scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import Field
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.weight_only import insertion
from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.settings import Settings


class BlocksOfLayer(Settings):
    """How the weights of one layer are stored."""

    bits: Literal[4, 8]
    group: Literal[16, 32, 64, 128]
    """Weights along a row that share a scale."""
    symmetric: bool = True
    """Whether blocks have no zero-points of their own."""


class QuantizeWeightsEdit(Settings):
    """The fields of this edit in a blueprint; scales and zero-points are among the weights."""

    layers: Annotated[dict[str, BlocksOfLayer], Field(min_length=1, max_length=100_000)]
    """By module path."""


def apply(model: nn.Module, edit: Mapping[str, Any], interface: Interface) -> nn.Module:
    """`model` with quantizers on the weights of those layers; all scales 1, until weights are loaded.

    Raises:
        ValueError: if the edit is none, or does not fit the model.
    """
    wanted = QuantizeWeightsEdit.model_validate(dict(edit))
    formats = {name: BlockFormat(**dict(form)) for name, form in wanted.layers.items()}
    insertion.insert_quantizers(model, formats)
    return model
