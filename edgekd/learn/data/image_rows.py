"""Images and labels that a table gives row by row, collected: as pixels, or encoded as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import cast

import numpy as np

from edgekd.errors import InputError
from edgekd.learn.formats import parquet
from edgekd.learn.formats.encoded_images import EncodedImages
from edgekd.learn.formats.encoded_images import SpooledRows
from edgekd.learn.formats.encoded_images import count_threads
from edgekd.learn.formats.image import Shape
from edgekd.learn.formats.image import decode
from edgekd.learn.formats.image import need_same_size
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import need_memory

_CHECK_EVERY = 4096


def collect_pixels(
    rows: parquet.ParquetRows, shape: Shape, where: str, skipped: list[str] | None
) -> tuple[np.ndarray, list[Any]]:
    """All images and labels; what is broken is added to `skipped`, or refused if that is None."""
    images: list[np.ndarray] = []
    labels: list[Any] = []
    first_place = ""
    for image, label, place in rows.pairs:
        try:
            pixels = _pixels(image, shape, place)
        except InputError as error:
            if skipped is None:
                raise InputError(str(error), hint=SKIP_HINT) from error
            skipped.append(str(error))
            continue
        images.append(pixels)
        labels.append(label)
        first_place = first_place or place
        need_same_size(images[-1], images[0], place, first_place)
        if len(images) % _CHECK_EVERY == 0:
            need_memory(2 * len(images) * images[0].nbytes, where)
    if not images:
        raise InputError(f"{where}: got no rows, want some")
    return np.stack(images), labels


def collect_encoded(
    rows: parquet.ParquetRows, shape: Shape, where: str, skipped: list[str] | None
) -> tuple[np.ndarray, list[Any]]:
    """The same, but that images stay encoded; the stage looks for broken ones."""
    labels: list[Any] = []
    places: list[str] = []

    def take_bytes() -> Iterator[bytes]:
        for image, label, place in rows.pairs:
            data = image.get("bytes") if isinstance(image, dict) else image
            if not isinstance(data, bytes):
                message = f"{place}: got an image without its bytes, want them in the file"
                if skipped is None:
                    raise InputError(message, hint=SKIP_HINT)
                skipped.append(message)
                continue
            labels.append(label)
            places.append(place)
            yield data

    spooled = SpooledRows(take_bytes())
    if not labels:
        raise InputError(f"{where}: got no rows, want some")
    images = EncodedImages(spooled, shape, places.__getitem__, count_threads())
    return cast(np.ndarray, images), labels


def _pixels(image: Any, shape: Shape, where: str) -> np.ndarray:
    if isinstance(image, dict):
        image = image.get("bytes")
        if image is None:
            # A path in a row could point anywhere on this machine.
            raise InputError(f"{where}: got an image without its bytes, want them in the file")
    if isinstance(image, bytes):
        return decode(image, shape, where)
    try:
        pixels = np.asarray(image)
    except ValueError:
        pixels = np.empty(0, object)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.dtype.kind not in "iu" or pixels.ndim != 3 or not pixels.size:
        raise InputError(f"{where}: got no image, want bytes or rows of whole numbers")
    if pixels.min() < 0 or pixels.max() > 255:
        raise InputError(f"{where}: got pixels {pixels.min()} to {pixels.max()}, want 0 to 255")
    return pixels.astype(np.uint8)
