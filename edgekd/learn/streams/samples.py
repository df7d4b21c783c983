"""Opens what gives encoded images with their labels one after the other: tar shards, a hub's rows, a function, a pipe."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.errors import InputError
from edgekd.learn import hub
from edgekd.learn.data.shard_layout import expand_range
from edgekd.learn.formats import parquet
from edgekd.learn.formats.image import EncodedImage
from edgekd.learn.source import locate
from edgekd.learn.source import need_package
from edgekd.learn.streams.own_function import call_function
from edgekd.learn.streams.remote import open_stream
from edgekd.learn.streams.spool import SampleStream
from edgekd.learn.streams.tar_stream import read_samples

PIPE = "-"
"""Stands for standard input."""
KINDS = ("webdataset", "huggingface", "python")
_ENDINGS = {"JPEG": "jpg", "PNG": "png", "BMP": "bmp", "WEBP": "webp"}


class StreamSample(NamedTuple):
    """An encoded image."""

    image: bytes
    label: str | int
    place: str
    """What it is called in a message."""

    def find_ending(self) -> str:
        """What a file of its format is called after the dot.

        Raises:
            InputError: if it is no image, by its head.
        """
        return _ENDINGS[EncodedImage(self.image, self.place).format]


class StreamWords(NamedTuple):
    """What may be said of a stream beside its name."""

    label: str | None = None
    """Of tar shards: what files of labels are called after the key."""
    label_key: str | None = None
    """Of tar shards: the label in a JSON file."""
    image_column: str = "image"
    label_column: str = "label"
    subset: str | None = None
    """Of a name on the hub: which configuration."""
    split: str = "train"
    """Of a name on the hub, or a folder of Parquet files: which split."""
    allow_code: bool = False
    allow_download: bool = False


def open_samples(text: str, words: StreamWords) -> SampleStream:
    """Open a stream; nothing is read before its samples are asked for.

    Args:
        text: ``webdataset:`` and a tar shard, a range of them, paths or URLs; ``huggingface:`` and a Parquet file, a
            folder of them, or a name on the hub; ``python:package.module:function``, which yields ``(image, label)``, an
            image being bytes or uint8 [H, W, C]; or ``-``, a tar on standard input.
        words: what else is said.

    Raises:
        InputError: if there is no such stream, or it needs leave.
    """
    kind, _, reference = text.partition(":")
    if text == PIPE:
        return SampleStream(_read_tar(sys.stdin.buffer, "standard input", words), False)
    if kind == "webdataset":
        return SampleStream(_read_shards(reference, words), True)
    if kind == "huggingface":
        return SampleStream(_read_rows(reference, words), True)
    if kind == "python":
        return _call_function(reference, words)
    raise InputError(
        f"{text}: got no stream, want {PIPE}, or one of {', '.join(f'{each}:...' for each in KINDS)}"
    )


def _read_shards(reference: str, words: StreamWords) -> Iterator[StreamSample]:
    from edgekd.learn.knowledge.fetching import needs_network  # imports torch

    places = list(expand_range(reference))
    for place in places:
        if "://" in place and needs_network(place) and not words.allow_download:
            raise InputError(f"{place}: got no leave to use the network", hint="--allow-download")
    for place in places:
        with open_stream(place) as file:
            yield from _read_tar(file, place, words)


def _read_tar(file: Any, where: str, words: StreamWords) -> Iterator[StreamSample]:
    for image, label, place in read_samples(file, where, words.label, words.label_key):
        yield StreamSample(image, label, place)


def _read_rows(reference: str, words: StreamWords) -> Iterator[StreamSample]:
    where = f"huggingface:{reference}"
    columns = words.image_column, words.label_column
    paths = _find_tables(reference, words.split)
    need_package("pyarrow" if paths else "datasets", "hub", where)
    if paths:
        rows = parquet.read_rows(paths, *columns)
    elif words.allow_download:
        rows = hub.read_rows(reference, words.subset, words.split, columns, streaming=True)
    else:
        raise InputError(
            f"{where}: got no such file or folder, and a name on the hub needs leave",
            hint="--allow-download",
        )
    for image, label, place in rows.pairs:
        if rows.names is not None and type(label) is int and 0 <= label < len(rows.names):
            label = rows.names[label]
        yield _as_sample(image, label, place)


def _find_tables(reference: str, split: str) -> list[Path]:
    """The Parquet files of a split; none if there is no such file or folder here."""
    try:
        path = locate(reference, None)
    except InputError:
        return []
    if not path.is_dir():
        return [path]
    found = parquet.split_files(path)
    chosen = found.get(split) or (found.get("") if set(found) == {""} else None)
    if not chosen:
        names = ", ".join(sorted(found)) or "no .parquet or .arrow file"
        raise InputError(f"{path}: got {names}, want the split {split!r}")
    return chosen


def _call_function(reference: str, words: StreamWords) -> SampleStream:
    given, has_end = call_function(reference, "sample", allow_code=words.allow_code)
    return SampleStream(_read_pairs(given), has_end)


def _read_pairs(given: Iterator[tuple[Any, str]]) -> Iterator[StreamSample]:
    for pair, place in given:
        try:
            image, label = pair
        except (TypeError, ValueError) as error:
            got = type(pair).__name__
            raise InputError(f"{place}: got {got}, want an image and its label") from error
        yield _as_sample(image, label, place)


def _as_sample(image: Any, label: Any, place: str) -> StreamSample:
    image = image.get("bytes") if isinstance(image, dict) else image
    label = label.item() if isinstance(label, np.generic) else label
    if type(label) not in (str, int):
        raise InputError(f"{place}: got the label {str(label)[:40]!r}, want a number or a name")
    if not isinstance(image, bytes):
        image = _encode(image, place)
    return StreamSample(image, label, place)


def _encode(pixels: Any, place: str) -> bytes:
    """The PNG of pixels."""
    from PIL import Image

    array = np.asarray(pixels) if isinstance(pixels, np.ndarray | list) else np.empty(0)
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise InputError(f"{place}: got no image, want its bytes or uint8 [H, W, 1 or 3]")
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()
