"""Which of a teacher's layers the losses of a step read, whole or pooled: what a store of its answers has to hold."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.learn.assembly.binding import BindingContext
from edgekd.learn.assembly.binding import LayerSignal
from edgekd.learn.knowledge.layers import StoredLayer
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.signals import find_signal


class _Reading(NamedTuple):
    place: str
    is_pooled: bool


def find_tapped_layers(terms: Sequence[BoundTerm], context: BindingContext) -> StoredLayers | None:
    """Find the teacher's layers that terms read; None if they read none.

    A layer is stored pooled where it is only read as an embedding, which losses pool themselves.

    Args:
        terms: bound to their layers.
        context: what they were bound with.
    """
    whole: dict[str, bool] = {}
    for term in terms:
        for reading in _list_readings(term):
            whole[reading.place] = whole.get(reading.place, False) or not reading.is_pooled
    if not whole:
        return None
    shapes = context.shapes["teacher"]
    tapped = tuple(_layer(place, shapes[place][1:], whole[place]) for place in sorted(whole))
    network = context.networks["teacher"]
    return StoredLayers(network.stages, network.classifier, tapped, network.parts)


def _list_readings(term: BoundTerm) -> Iterator[_Reading]:
    for part in term.parts:
        for name, key in part.keys.items():
            for each in (key,) if isinstance(key, str) else key:
                if isinstance(each, LayerSignal) and each.side == "teacher":
                    yield _Reading(each.place, find_signal(name).kind == "embedding")


def _layer(place: str, shape: tuple[int, ...], is_whole: bool) -> StoredLayer:
    if is_whole or len(shape) < 2:
        return StoredLayer(place, shape, False)
    return StoredLayer(place, shape[:1] if len(shape) == 3 else shape[1:], True)
