"""Which of a teacher's layers lie in a store beside its answers: plain data, read from anybody."""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.transformer_parts import TransformerParts

MOST_LAYERS = 256
MOST_PLACE = 500
"""Letters of a module's path."""
_BROKEN = (KeyError, TypeError, ValueError, AttributeError)


class StoredLayer(NamedTuple):
    """What one module takes or gives, of each sample."""

    place: str
    """A module's path, with ``:input`` where its input is meant."""
    shape: tuple[int, ...]
    """Without the batch."""
    is_pooled: bool
    """Whether that is the mean over the places of a map or of tokens, as losses on embeddings take it."""
    order: tuple[int, ...] = ()
    """The axes of `shape` as they lie in memory, slowest first; empty where that is not known yet."""

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """The shape in the order in which it is stored."""
        return tuple(self.shape[axis] for axis in self.order) if self.order else self.shape


class StoredLayers(NamedTuple):
    """The layers of one teacher that losses read."""

    stages: tuple[str, ...]
    """Where each of its stages ends, shallow to deep."""
    classifier: str
    """What enters the layer that gives the logits."""
    tapped: tuple[StoredLayer, ...]
    parts: TransformerParts | None = None
    """Of a transformer over tokens."""

    def describe(self) -> dict[str, Any]:
        """The same as plain values."""
        tapped = [
            {**each._asdict(), "shape": list(each.shape), "order": list(each.order)}
            for each in self.tapped
        ]
        found = {"stages": list(self.stages), "classifier": self.classifier, "tapped": tapped}
        if self.parts is None:
            return found
        named = {k: v if isinstance(v, str) else list(v) for k, v in self.parts._asdict().items()}
        return {**found, "parts": named}

    @property
    def values(self) -> int:
        """Numbers of one sample in all layers."""
        return sum(math.prod(each.shape) for each in self.tapped)


def merge_layers(several: Iterable[StoredLayers]) -> StoredLayers | None:
    """Merge the layers of one teacher that several students read: each once, pooled if all take it so; None of none."""
    found = list(several)
    if not found:
        return None
    by_place: dict[str, StoredLayer] = {}
    for layer in (each for layers in found for each in layers.tapped):
        if layer.place not in by_place or not layer.is_pooled:
            by_place[layer.place] = layer
    return found[0]._replace(tapped=tuple(by_place[place] for place in sorted(by_place)))


def read_layers(path: Path) -> StoredLayers:
    """Read what `StoredLayers.describe` gave.

    Raises:
        InputError: if the file holds something else.
    """
    try:
        return parse_layers(files.read_json(path))
    except _BROKEN as error:
        raise InputError(f"{path}: got {str(error)[:70]}, want layers of a teacher") from error


def parse_layers(value: Mapping[str, Any]) -> StoredLayers:
    """Parse what `StoredLayers.describe` gave, or anybody.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: if it is something else.
    """
    tapped = tuple(_parse_layer(each) for each in value["tapped"])
    stages, classifier = tuple(value["stages"]), value["classifier"]
    places = [each.place for each in tapped]
    _require_places((*stages, classifier, *places))
    if len(set(places)) != len(places) or not 0 < len(places) <= MOST_LAYERS:
        raise ValueError(f"{len(places)} layers, or one twice")
    return StoredLayers(stages, classifier, tapped, _parse_parts(value.get("parts")))


def _parse_parts(value: Mapping[str, Any] | None) -> TransformerParts | None:
    if value is None:
        return None
    lists = {name: tuple(each) for name, each in value.items() if name != "embeddings"}
    parts = TransformerParts(**lists, embeddings=value["embeddings"])
    _require_places((parts.embeddings, *(place for each in lists.values() for place in each)))
    return parts


def _parse_layer(value: Mapping[str, Any]) -> StoredLayer:
    layer = StoredLayer(
        value["place"], tuple(value["shape"]), value["is_pooled"], tuple(value["order"])
    )
    if not all(type(size) is int and 0 < size < 2**31 for size in layer.shape):
        raise ValueError("sizes that are none")
    if math.prod(layer.shape) >= 2**31 or type(layer.is_pooled) is not bool:
        raise ValueError("a layer that is too large, or pooled neither way")
    if layer.order and sorted(layer.order) != list(range(len(layer.shape))):
        raise ValueError("an order of axes that is none")
    return layer


def _require_places(places: Sequence[Any]) -> None:
    if not all(isinstance(each, str) and len(each) <= MOST_PLACE for each in places):
        raise ValueError("module paths that are none")
