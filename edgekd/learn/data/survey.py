"""What a data source holds, found out before anything is trained: splits, classes, counts, sizes of images."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.data.overlap import describe_overlap
from edgekd.learn.data.overlap import whole_splits
from edgekd.learn.formats.image import SUFFIXES
from edgekd.learn.formats.image import read_size
from edgekd.units import number_text

if TYPE_CHECKING:
    from edgekd.learn.source import Source

LOOKED_AT = 200
"""Images whose size is read, evenly over all."""
MOST_NAMED = 5
"""Of what was left out."""
SIDES = (32, 48, 64, 96, 128)
"""Sides of squares that are proposed; a larger one is the user's to ask for."""


class ImageSizes(NamedTuple):
    """Widths and heights of some images."""

    looked_at: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    """Width and height of the images with the fewest and the most pixels."""
    side: int | None
    """Of the square that is proposed; None where all have one size, which is a square of a usual side."""


class Survey(NamedTuple):
    """What was found."""

    notes: tuple[str, ...]
    """What was guessed, a sentence each."""
    splits: dict[str, int]
    """Samples of each."""
    fields: dict[str, str]
    """Kinds by name."""
    classes: dict[str, int]
    """Training samples of each class, where a sample has one; else 0 of each."""
    images: ImageSizes | None
    """Where files of images are read."""
    skipped: tuple[str, ...]
    """What was left out, each with the reason."""
    side: int | None = None
    """The longer side of the images that a model will see; None where there are none."""


def measure_images(paths: Sequence[Path]) -> ImageSizes | None:
    """Sizes of at most `LOOKED_AT` of the images, from their heads alone; None if none can be read."""
    images = [path for path in paths if path.suffix.lower() in SUFFIXES]
    step = max(1, len(images) // LOOKED_AT)
    return summarize_sizes([s for path in images[::step] if (s := read_size(path)) is not None])


def summarize_sizes(sizes: Sequence[tuple[int, int]]) -> ImageSizes | None:
    """What widths and heights of some images say of all; None of none."""
    if not sizes:
        return None
    ordered = sorted(sizes, key=lambda size: size[0] * size[1])
    return ImageSizes(len(sizes), ordered[0], ordered[-1], propose_side(sizes))


def propose_side(sizes: Sequence[tuple[int, int]]) -> int | None:
    """The side of a square for images of these widths and heights: the largest of `SIDES` that half of them fill.

    None where all have one size of at most the largest of `SIDES`, which may stay.
    """
    if len(set(sizes)) == 1 and max(sizes[0]) <= SIDES[-1]:
        return None
    short = statistics.median(min(size) for size in sizes)
    return max((side for side in SIDES if side <= short), default=SIDES[0])


def survey_source(source: Source, images: ImageSizes | None) -> Survey:
    """What a source that was read holds.

    Args:
        source: a sound one.
        images: sizes of its files, where it reads files of images.
    """
    counts = {name: len(next(iter(rows.values()))) for name, rows in source.splits.items()}
    return Survey(
        (*source.notes, *describe_overlap(source, whole_splits(source))),
        counts,
        {name: words.kind for name, words in source.fields.items()},
        _count_classes(source),
        images,
        source.skipped,
        _find_side(source, images),
    )


def describe_skipped(skipped: Sequence[str]) -> str:
    """``left out 7 files or samples: a.csv, line 3: ...; and 2 more``."""
    left = len(skipped) - MOST_NAMED
    named = [*skipped[:MOST_NAMED], *([f"and {left} more"] if left > 0 else [])]
    return f"left out {number_text(len(skipped), 'file or sample', 'files or samples')}: {'; '.join(named)}"


def _find_side(source: Source, images: ImageSizes | None) -> int | None:
    if images is not None:
        return images.side or max(images.largest)
    for name, field in source.fields.items():
        rows = source.splits["train"][name]
        if field.kind == "image" and not isinstance(rows, RaggedRows):
            return int(max(rows.shape[1:3]))
    return None


def _count_classes(source: Source) -> dict[str, int]:
    for name, field in source.fields.items():
        names = field.words.get("names", ())
        rows = source.splits["train"][name]
        if names and not isinstance(rows, RaggedRows) and rows.ndim == 1:
            counted = Counter(rows.tolist())
            return {text: counted[number] for number, text in enumerate(names)}
        if names:
            return dict.fromkeys(names, 0)
    return {}


def fit_arguments(
    arguments: Mapping[str, Any], images: ImageSizes | None, where: str
) -> dict[str, Any]:
    """The arguments of a source, with the side that is proposed where they name none and one is needed.

    Raises:
        InputError: if no image could be read where there should be some.
    """
    if "size" not in arguments or arguments["size"] is not None:
        return dict(arguments)
    if images is None:
        raise InputError(f"{where}: got no image that can be read, want some")
    return {**arguments, "size": images.side}
