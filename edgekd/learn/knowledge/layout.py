"""What a store of answers holds, and where each lies: its manifest, read from anybody."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.knowledge.layers import parse_layers
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import KnowledgeSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT, PLACES_FORMAT = "edgekd-knowledge/1", "edgekd-knowledge/2"
"""Of a store with one row a sample, and of one with a row for every place of a sample."""
LENGTH = np.dtype("<u4")
"""How many places a sample has."""
SHARD_BYTES = 2**26
"""What a shard holds at most, or one row."""
_DIGEST = re.compile("[0-9a-f]{64}")
_WHOLE = ("views", "samples", "shard_rows")
_BROKEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError, ValidationError)
"""What a manifest raises in which somebody wrote anything."""


class StoreLayout(NamedTuple):
    """Where the answers to all views lie: every shard holds samples one after the other, through one view.

    A sample has one row, or as many as it has places, such as the tokens of a text: then a shard begins with how many
    places each of its samples has, uint32.
    """

    code: RowCode
    views: int
    samples: int
    shard_rows: int
    """Samples of a shard; the last one of a view may have fewer."""
    places: tuple[int, ...] = ()
    """Of all samples of each shard of a view; empty where a sample has one row."""

    @property
    def row_bytes(self) -> int:
        """Of one answer."""
        return self.code.dtype.itemsize

    @property
    def shards_a_view(self) -> int:
        """Shards of one view."""
        return -(-self.samples // self.shard_rows)

    @property
    def shards(self) -> int:
        """All of them."""
        return self.views * self.shards_a_view

    @property
    def size_bytes(self) -> int:
        """Of all shards."""
        return self.views * sum(map(self.shard_bytes, range(self.shards_a_view)))

    @property
    def rows(self) -> int:
        """Of all views and samples."""
        return self.views * (sum(self.places) if self.places else self.samples)

    def shard_bytes(self, number: int) -> int:
        """Of one shard."""
        _, start, stop = self.locate_shard(number)
        if not self.places:
            return (stop - start) * self.row_bytes
        rows = self.places[number % self.shards_a_view]
        return (stop - start) * LENGTH.itemsize + rows * self.row_bytes

    def locate_shard(self, number: int) -> tuple[int, int, int]:
        """Return the view of a shard, its first sample, and the one after its last."""
        view, piece = divmod(number, self.shards_a_view)
        start = piece * self.shard_rows
        return view, start, min(start + self.shard_rows, self.samples)


class KnowledgeManifest(NamedTuple):
    """What a store of answers says of itself."""

    layout: StoreLayout
    origin: Mapping[str, Any]
    """What the answers are of: digests of teacher and data, the views, the names of the classes."""
    error: Mapping[str, float]
    """How far the answers are off what the teacher gives, on the rows that were asked twice."""
    digests: tuple[str, ...]
    """SHA-256 of each shard."""
    layers: StoredLayers | None = None
    """What lies beside the answers; None is nothing."""

    def describe(self) -> dict[str, Any]:
        """The manifest as it is written."""
        layout = self.layout
        beside: dict[str, Any] = {}
        if self.layers is not None:
            beside["layers"] = self.layers.describe()
        if layout.places:
            beside["places"] = list(layout.places)
        return {
            **beside,
            "format": PLACES_FORMAT if layout.places else FORMAT,
            "origin": dict(self.origin),
            "error": dict(self.error),
            "encoding": layout.code.settings.model_dump(mode="json"),
            "shapes": [list(shape) for shape in layout.code.shapes],
            **{name: getattr(layout, name) for name in _WHOLE},
            "shards": list(self.digests),
        }


def is_one_class(shapes: Sequence[Sequence[int]]) -> bool:
    """Return whether outputs of those shapes a sample may be the logits of one class."""
    return len(shapes) == 1 and len(shapes[0]) == 1


def plan_layout(
    code: RowCode,
    views: int,
    samples: int,
    batch: int,
    lengths: NDArray[np.int64] | None = None,
) -> StoreLayout:
    """Lay out the answers to `views` of `samples` that are computed `batch` at a time, which no shard cuts.

    Args:
        code: of a row.
        views: how many there are.
        samples: how many there are.
        batch: samples that are asked about at once.
        lengths: [samples], places of each, where every place has a row.
    """
    most = 1 if lengths is None else int(lengths.max())
    rows = SHARD_BYTES // (most * code.dtype.itemsize) // batch * batch
    shard = min(max(rows, batch), samples)
    return StoreLayout(code, views, samples, shard, count_places(lengths, shard))


def count_places(lengths: NDArray[np.int64] | None, shard_rows: int) -> tuple[int, ...]:
    """Places of all samples of each shard of a view; empty where a sample has one row."""
    if lengths is None:
        return ()
    counts: list[int] = np.add.reduceat(lengths, np.arange(0, len(lengths), shard_rows)).tolist()
    return tuple(counts)


def shard_name(number: int) -> str:
    """The file of a shard."""
    return f"shard-{number:05}.rows"


def parse_shard_name(name: str) -> int | None:
    """The number of the shard that such a file is; None of another file."""
    match = re.fullmatch(r"shard-([0-9]{5,9})\.rows", name)
    return int(match[1]) if match else None


def read_manifest(path: Path) -> KnowledgeManifest:
    """Read the manifest of a store that anybody may have written.

    Raises:
        InputError: if it is none, or says what cannot be.
    """
    value = files.read_json(path)
    try:
        places = tuple(value["places"]) if value["format"] == PLACES_FORMAT else ()
        if value["format"] not in (FORMAT, PLACES_FORMAT):
            raise ValueError(f"format {str(value['format'])[:70]!r}")
        settings = KnowledgeSettings.model_validate(value["encoding"])
        shapes = tuple(tuple(shape) for shape in value["shapes"])
        counts = [value[name] for name in _WHOLE]
        sizes = [size for shape in shapes for size in shape]
        if not all(type(each) is int and 0 < each < 2**48 for each in (*counts, *sizes)):
            raise ValueError("sizes that are none")
        if not shapes or max(math.prod(shape) for shape in shapes) >= 2**31:
            raise ValueError("no outputs, or too large ones")
        layers = parse_layers(value["layers"]) if "layers" in value else None
        beside = () if layers is None else tuple(each.stored_shape for each in layers.tapped)
        outputs = shapes[: len(shapes) - len(beside)]
        if not outputs or shapes != outputs + beside:
            raise ValueError("layers of other shapes")
        if settings.top_k is not None and not is_one_class(outputs):
            raise ValueError("top_k of what are no classes")
        code = RowCode(settings, shapes, len(beside))
        if not code.dtype.itemsize:  # of rows of 2 GB numpy makes none
            raise ValueError("rows of no bytes")
        views, samples, shard_rows = counts
        layout = StoreLayout(code, views, samples, shard_rows, places)
        if value["format"] == PLACES_FORMAT:
            _require_places(layout, layers)
        digests = tuple(value["shards"])
        if len(digests) != layout.shards or not all(map(_DIGEST.fullmatch, digests)):
            raise ValueError(f"{len(digests)} shards, want {layout.shards}")
        origin = dict(value["origin"])
        errors = {name: float(each) for name, each in value["error"].items()}
    except _BROKEN as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: got {reason}, want a store of a teacher's answers") from error
    return KnowledgeManifest(layout, origin, errors, digests, layers)


def _require_places(layout: StoreLayout, layers: StoredLayers | None) -> None:
    """Raises ValueError unless every shard of a view has as many places as samples at least, and nothing beside."""
    if len(layout.places) != layout.shards_a_view:  # before a number of anybody's is counted to
        raise ValueError("places that are none")
    shards = range(layout.shards_a_view)
    samples = [stop - start for _, start, stop in map(layout.locate_shard, shards)]
    whole = all(
        type(rows) is int and least <= rows < 2**48
        for rows, least in zip(layout.places, samples, strict=True)
    )
    if not whole or layers is not None or not is_one_class(layout.code.shapes):
        raise ValueError("places that are none")


def require_same_origin(where: str, origin: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse answers that are of something else.

    Raises:
        InputError: names what differs: the teacher, the data, the views, the classes.
    """
    different = [name for name in wanted if origin.get(name) != wanted[name]]
    if different:
        each = (
            f"{name} ({describe_difference(origin.get(name), wanted[name])})" for name in different
        )
        raise InputError(f"{where}: got answers of another {', '.join(each)}")


def describe_difference(got: Any, want: Any) -> str:
    """What differs between two plain values: the first place of lists, the first name of mappings; else both values."""
    if isinstance(got, list) and isinstance(want, list):
        if sorted(map(str, got)) == sorted(map(str, want)):
            return f"the same in another order: {_describe_place(got, want)}"
        return _describe_place(got, want)
    if isinstance(got, Mapping) and isinstance(want, Mapping):
        name = next(k for k in {**want, **got} if got.get(k, ...) != want.get(k, ...))
        return f"{name}: {describe_difference(got.get(name), want.get(name))}"
    return f"got {_brief(got)}, want {_brief(want)}"


def _describe_place(got: list[Any], want: list[Any]) -> str:
    if len(got) != len(want):
        return f"got {len(got)}, want {len(want)}"
    place = next(n for n, (a, b) in enumerate(zip(got, want, strict=True)) if a != b)
    return f"number {place + 1}: {describe_difference(got[place], want[place])}"


def _brief(value: Any) -> str:
    text = files.canonical_json(value).decode().strip()
    return text if len(text) <= 70 else f"{text[:67]}..."
