"""Edit `adapt`: a network made for other images or another order of classes takes the data's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated
from typing import Any

import torch
from pydantic import Field
from torch import Tensor
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.mathematics.resize import resize_images
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import Whole


class AdaptEdit(Settings):
    """The fields of this edit in a blueprint."""

    select: (
        Annotated[tuple[Whole, ...], Field(min_length=1, max_length=1024, strict=False)] | None
    ) = None
    """The data's channels that it sees; None is all."""
    channels: Count
    """It takes; one from three is luma, three from one the same thrice."""
    height: Count
    """It takes, in pixels."""
    width: Count
    """It takes, in pixels."""
    order: (
        Annotated[tuple[Whole, ...], Field(min_length=1, max_length=10**6, strict=False)] | None
    ) = None
    """For each class of the data its number of it; None is the same."""


class _Adapted(nn.Module):
    """Images are brought into the size of `model`, its logits into the order of the data."""

    def __init__(self, model: nn.Module, edit: AdaptEdit) -> None:
        super().__init__()
        self.model, self.size = model, (edit.channels, edit.height, edit.width)
        for name, numbers in (("select", edit.select), ("order", edit.order)):
            kept = None if numbers is None else torch.tensor(numbers)
            self.register_buffer(name, kept, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        seen = images if self.select is None else images.index_select(1, self.select)
        logits: Tensor = self.model(resize_images(seen, *self.size))
        return logits if self.order is None else logits.index_select(1, self.order)


def apply(model: nn.Module, edit: Mapping[str, Any], interface: Interface) -> nn.Module:
    """`model` behind a change of its images and before one of its logits; it holds no weights.

    Args:
        model: becomes the part ``model`` of what is given back.
        edit: ``{"channels", "height", "width"}``, and ``select`` and ``order`` where they change.
        interface: what the data give, [batch, C, H, W].

    Raises:
        ValueError: if the images cannot be brought into that form.
    """
    said = AdaptEdit.model_validate(dict(edit))
    channels = interface.inputs[0].shape[1]
    if said.select is not None and max(said.select) >= int(channels):
        raise ValueError(f"select: got {max(said.select)}, want channels below {channels}")
    return _Adapted(model, said)
