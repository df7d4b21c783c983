"""A teacher's layers as tensors: made ready for a store in the order in which they lie in memory, and read back so."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.knowledge.layers import StoredLayer
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.mathematics.shapes import pool_places
from edgekd.learn.method.pairing import NetworkStages
from edgekd.learn.method.taps import Taps

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class StoredTaps:
    """What `Taps` gives of a live teacher, read from a store: it is there once the teacher's answers were read."""

    def __init__(self, layers: StoredLayers) -> None:
        self.layers = layers
        self.values: dict[str, Tensor] = {}
        self.is_open = False

    def __enter__(self) -> dict[str, Tensor]:
        self.values.clear()
        self.is_open = True
        return self.values

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.is_open = False

    @property
    def network(self) -> NetworkStages:
        """The stages and the classifier of the teacher."""
        return NetworkStages(self.layers.stages, self.layers.classifier, self.layers.parts)

    def record_shapes(self, places: Iterable[str], batch: int) -> dict[str, tuple[int, ...]]:
        """Return the shape, batch first, of each place that is stored.

        Raises:
            ValueError: if one is not.
        """
        shapes = {each.place: (batch, *each.shape) for each in self.layers.tapped}
        for place in places:
            if place not in shapes:
                raise ValueError(f"got no layer {place!r} among the stored, want it stored")
        return shapes

    def fill(self, arrays: Sequence[NDArray[np.float32]], device: torch.device) -> None:
        """Take the layers of a batch, [B, ...] each, as they are stored."""
        for layer, array in zip(self.layers.tapped, arrays, strict=True):
            tensor = torch.from_numpy(array).to(device)
            self.values[layer.place] = tensor.permute(0, *_inverse_axes(layer))


def find_orders(
    layers: StoredLayers, teacher: nn.Module, run: Callable[[], object]
) -> StoredLayers:
    """Find how each layer lies in memory when `run` runs the teacher, so that losses read it back as it was.

    Raises:
        ValueError: if a layer is not there, or has another shape.
    """
    taps = Taps(teacher, [each.place for each in layers.tapped])
    with taps as values:
        run()
    return layers._replace(tapped=tuple(_ordered(each, values) for each in layers.tapped))


def take_layers(
    layers: StoredLayers, values: Mapping[str, Tensor]
) -> tuple[NDArray[np.float32], ...]:
    """Return what passed each layer of a batch as it is stored, float32 [B, ...]."""
    found = []
    for layer in layers.tapped:
        value = _find_value(layer, values)
        axes = (0, *(axis + 1 for axis in layer.order))
        found.append(value.float().permute(axes).contiguous().cpu().numpy())
    return tuple(found)


def _find_value(layer: StoredLayer, values: Mapping[str, Tensor]) -> Tensor:
    if layer.place not in values:
        raise ValueError(f"got layer {layer.place!r}, through which no tensor passes")
    value = values[layer.place]
    return pool_places(value) if layer.is_pooled else value


def _ordered(layer: StoredLayer, values: Mapping[str, Tensor]) -> StoredLayer:
    value = _find_value(layer, values)
    if tuple(value.shape[1:]) != layer.shape:
        got, want = list(value.shape[1:]), list(layer.shape)
        raise ValueError(f"got layer {layer.place!r} of {got}, want {want}")
    axes = list(range(1, value.ndim))
    by_stride = sorted(axes, key=lambda axis: -value.stride(axis))
    if not value.is_contiguous() and value.permute(0, *by_stride).is_contiguous():
        axes = by_stride
    return layer._replace(order=tuple(axis - 1 for axis in axes))


def _inverse_axes(layer: StoredLayer) -> tuple[int, ...]:
    order = layer.order or tuple(range(len(layer.shape)))
    return tuple(order.index(axis) + 1 for axis in range(len(order)))
