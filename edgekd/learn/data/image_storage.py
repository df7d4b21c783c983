"""How a source's images are kept: as pixels of one size, or encoded as they are; and which of them are broken."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import cast

import numpy as np

from edgekd import splits
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.fields.image import Image
from edgekd.learn.formats.encoded_images import EncodedImages
from edgekd.learn.formats.encoded_images import choose_rows
from edgekd.learn.formats.encoded_images import count_threads
from edgekd.learn.formats.encoded_images import unmap_rows
from edgekd.learn.formats.image import Shape
from edgekd.learn.formats.image import decode
from edgekd.learn.formats.image import need_same_size
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import need_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekd.dataset import Dataset
    from edgekd.field import Rows

FORMS = ("auto", "pixels", "encoded")
"""How training images are stored."""
MOST_PIXEL_BYTES = 2**32
"""Of a data set whose images are stored as pixels where nobody says how; no matter how much memory there is."""


def choose_encoded(stored: str, shape: Shape, count: int) -> bool:
    """Return whether images are stored as they are encoded.

    Args:
        stored: one of `FORMS`.
        shape: what every image is brought to.
        count: how many there are, in all splits.

    Raises:
        InputError: for another word, or if they are to be encoded and no size is said.
    """
    if stored not in FORMS:
        raise InputError(f"stored: got {stored!r}, want one of: {', '.join(FORMS)}")
    if stored == "auto":
        side = shape.size or 0
        return count * side * side * shape.channels > MOST_PIXEL_BYTES
    if stored == "encoded" and shape.size is None:
        raise InputError(
            "stored: got encoded without a size, want one",
            hint="size: 224 beside the source's name is what a model sees of each",
        )
    return stored == "encoded"


def read_images(
    encoded: RaggedRows,
    labels: Sequence[int],
    shape: Shape,
    name_row: Callable[[int], str],
    *,
    are_encoded: bool,
    on_broken: str,
    propose_side: Callable[[], int | None] = lambda: None,
) -> tuple[LabelledImages, list[str]]:
    """Images with their labels, decoded now or, where they stay encoded, when they are asked for; and what was broken,
    each with the reason.

    Args:
        encoded: the bytes of each.
        labels: of each.
        shape: what every image is brought to.
        name_row: how to call one in a message.
        are_encoded: whether they stay as they are; then the stage looks for broken ones.
        on_broken: ``refuse`` stops at the first, ``skip`` leaves them out.
        propose_side: gives a side for all of them, where none is said and they differ.

    Raises:
        InputError: for one that is broken, or of another size than the first.
        MachineError: if their pixels do not fit into memory.
    """
    images = EncodedImages(encoded, shape, name_row, count_threads())
    if are_encoded:
        return LabelledImages(cast(np.ndarray, images), np.array(labels, np.int64)), []
    pixels = np.empty((0, 1, 1, shape.channels), np.uint8)
    first: str | None = None
    sound: list[int] = []
    skipped: list[str] = []
    for number in range(len(encoded)):
        where = name_row(number)
        try:
            image = decode(images.read_bytes(number), shape, where)
        except InputError as error:
            if on_broken == "refuse":
                raise InputError(str(error), hint=error.hint or SKIP_HINT) from error
            skipped.append(str(error))
            continue
        if first is None:
            first = where
            need_memory(len(encoded) * image.nbytes, str(Path(where).parent))
            pixels = np.empty((len(encoded), *image.shape), np.uint8)
        need_same_size(image, pixels[0], where, first, propose_side)
        pixels[len(sound)] = image
        sound.append(number)
    return LabelledImages(pixels[: len(sound)], np.array(labels, np.int64)[sound]), skipped


def require_decodable(source: Source, on_broken: str, progress: Callable[..., None]) -> Source:
    """The source, once each of its encoded images was read to its end.

    Args:
        source: a sound one.
        on_broken: ``refuse`` stops at the first that is broken, ``skip`` leaves them out and lists them.
        progress: is given how many are done, of how many, and ``text``.

    Raises:
        InputError: for the first that is broken.
    """
    sound_splits: dict[str, Mapping[str, Rows]] = dict(source.splits)
    skipped: list[str] = []
    for split, rows in source.splits.items():
        for each in rows.values():
            if isinstance(each, EncodedImages):
                text = f"reading the images of the {split} split"
                broken = []
                for number, error in each.find_broken(functools.partial(progress, text=text)):
                    if on_broken == "refuse":
                        raise InputError(str(error), hint=error.hint or SKIP_HINT)
                    broken.append(number)
                    skipped.append(str(error))
                sound = np.setdiff1d(np.arange(len(each)), broken)
                sound_splits[split] = {
                    name: choose_rows(some, sound) for name, some in rows.items()
                }
    return source._replace(splits=sound_splits, skipped=(*source.skipped, *skipped))


def read_training_rows(data: Dataset, path: Path) -> dict[str, Rows]:
    """The training split, mapped; images that are stored encoded are decoded when they are asked for.

    Raises:
        InputError: if the file is no split.
    """
    rows = splits.read(path)
    for name, field in data.fields.items():
        each = rows.get(name)
        if isinstance(field, Image) and isinstance(each, RaggedRows):
            shape = Shape(field.height, field.channels, field.resize)
            rows[name] = cast("Rows", EncodedImages(unmap_rows(each), shape))
    return rows
