"""Edit `prune`: named layers are built again with fewer channels, in the widths that the edit says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any

from pydantic import Field
from torch import nn

from edgekd.interface import Interface
from edgekd.settings import Settings

Width = Annotated[int, Field(ge=1, le=2**20)]


class PrunedLayer(Settings):
    """One layer that became narrower; a batch norm has as many inputs as outputs."""

    path: Annotated[str, Field(min_length=1, max_length=1000)]
    """Of the module."""
    inputs: Width
    """Channels or features it takes."""
    outputs: Width
    """Channels or features it gives."""
    groups: Width = 1
    """Of a convolution; as many as its channels where it is depthwise."""


class PruneEdit(Settings):
    """The fields of this edit in a blueprint."""

    layers: Annotated[
        tuple[PrunedLayer, ...], Field(min_length=1, max_length=100_000, strict=False)
    ]


def apply(model: nn.Module, edit: Mapping[str, Any], interface: Interface) -> nn.Module:
    """`model` with each named layer replaced by a narrower one, freshly initialised.

    Args:
        model: is changed in place.
        edit: ``{"layers": [{"path", "inputs", "outputs", "groups"}, ...]}``.
        interface: what the model takes; not looked at: whether the layers still fit one another is
            seen when the model is run.

    Raises:
        ValueError: if there is no such layer, or it cannot have these widths.
    """
    for layer in PruneEdit.model_validate(dict(edit)).layers:
        try:
            old = model.get_submodule(layer.path)
        except AttributeError as error:
            raise ValueError(f"{layer.path}: no such module") from error
        try:
            model.set_submodule(layer.path, _narrower(old, layer))
        except ValueError as error:
            raise ValueError(f"{layer.path}: {error}") from error
    return model


def _narrower(old: nn.Module, wanted: PrunedLayer) -> nn.Module:
    if type(old) is nn.Conv2d:
        return _convolution(old, wanted)
    if type(old) is nn.Linear:
        _want_fit(wanted, old.in_features, old.out_features)
        return nn.Linear(wanted.inputs, wanted.outputs, bias=old.bias is not None)
    if type(old) is nn.BatchNorm2d:
        _want_fit(wanted, old.num_features, old.num_features)
        if wanted.inputs != wanted.outputs:
            raise ValueError(f"got {wanted.inputs} inputs and {wanted.outputs} outputs, want equal")
        return nn.BatchNorm2d(
            wanted.outputs, old.eps, old.momentum, old.affine, old.track_running_stats
        )
    raise ValueError(f"got {type(old).__name__}, want a Conv2d, a Linear or a BatchNorm2d")


def _convolution(old: nn.Conv2d, wanted: PrunedLayer) -> nn.Conv2d:
    depthwise = old.groups == old.in_channels == old.out_channels
    groups = wanted.outputs if depthwise else old.groups
    _want_fit(wanted, old.in_channels, old.out_channels, groups)
    if depthwise and wanted.inputs != wanted.outputs:
        raise ValueError(f"got {wanted.inputs} inputs, want {wanted.outputs}: it is depthwise")
    if wanted.inputs % groups or wanted.outputs % groups:
        raise ValueError(f"got widths that {groups} groups do not divide")
    return nn.Conv2d(
        wanted.inputs,
        wanted.outputs,
        old.kernel_size,
        old.stride,
        old.padding,
        old.dilation,
        groups,
        old.bias is not None,
        old.padding_mode,
    )


def _want_fit(wanted: PrunedLayer, inputs: int, outputs: int, groups: int = 1) -> None:
    if wanted.inputs > inputs or wanted.outputs > outputs:
        got, most = f"{wanted.inputs} to {wanted.outputs}", f"{inputs} to {outputs}"
        raise ValueError(f"got {got} channels, want at most {most}")
    if wanted.groups != groups:
        raise ValueError(f"got {wanted.groups} groups, want {groups}")
