"""Source `webdataset`: tar shards of encoded images with their labels, read where they lie."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.data.image_storage import choose_encoded
from edgekd.learn.data.image_storage import read_images
from edgekd.learn.data.shard_layout import find_shards
from edgekd.learn.data.shard_layout import list_samples
from edgekd.learn.data.survey import LOOKED_AT
from edgekd.learn.data.survey import ImageSizes
from edgekd.learn.data.survey import summarize_sizes
from edgekd.learn.formats.encoded_images import RaggedFiles
from edgekd.learn.formats.image import EncodedImage
from edgekd.learn.formats.image import shape_of
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import label_images
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.learn.source import require_names
from edgekd.settings import Count
from edgekd.units import number_text


class _ShardIndex(NamedTuple):
    """The samples of the shards of one split."""

    paths: list[Path]
    places: np.ndarray
    """int64 [N, 3]: shard, first byte, bytes."""
    names: list[str]
    """Of the images in their shards."""
    labels: list[str | int]

    def name_row(self, number: int) -> str:
        """What a sample is called in a message."""
        return f"{self.paths[int(self.places[number, 0])]}, {self.names[number]!r}"


def files(
    *, reference: str, classes: str | None = None, data_dir: Path | None = None, **_: Any
) -> list[Path]:
    """The shards, split by split, and the file of names.

    Raises:
        InputError: if one is missing.
    """
    shards = [path for paths in find_shards(reference, data_dir).values() for path in paths]
    return shards if classes is None else [*shards, locate(classes, data_dir)]


def read(
    *,
    reference: str,
    label: str | None = None,
    label_key: str | None = None,
    classes: str | None = None,
    size: Count | None = None,
    resize: Count | None = None,
    channels: Count = 3,
    stored: str = "auto",
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The images of tar shards, named as WebDataset does: ``KEY.jpg`` beside ``KEY.cls`` or ``KEY.json``.

    Args:
        reference: a shard, a range of them (``photos-{000..127}.tar``), or a folder of shards that name their split.
        label: what a file of a label is called after its key; None takes ``cls``, ``json`` or ``txt``.
        label_key: of the label in a JSON file; None takes ``label``, ``class`` or the like.
        classes: a file with the names of the classes, a line each, for labels that are numbers.
        size: side of the square every image is scaled and cut to; None if all have one size.
        resize: shorter side that an image is scaled to before the middle is cut out; None is `size` itself.
        channels: 3 for colour, 1 for grey.
        stored: ``pixels``, ``encoded`` or ``auto``, as for `image-folder`.
        on_broken: ``refuse`` stops at the first broken image, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the shard and what in it cannot be used.
        MachineError: if Pillow is missing or the images do not fit into memory.
    """
    where = f"webdataset:{reference}"
    require_known(on_broken)
    shape = shape_of(size, channels, where, resize)
    indexes = _index_shards(reference, label, label_key, data_dir)
    total = sum(len(index.names) for index in indexes.values())
    are_encoded = choose_encoded(stored, shape, total)
    skipped: list[str] = []

    def read_split(index: _ShardIndex, labels: Sequence[int]) -> LabelledImages:
        images, broken = read_images(
            RaggedFiles(index.paths, index.places),
            labels,
            shape,
            index.name_row,
            are_encoded=are_encoded,
            on_broken=on_broken,
            propose_side=lambda: _propose_side(index),
        )
        skipped.extend(broken)
        return images

    source = _make_source(indexes, _read_names(classes, data_dir), where, resize, read_split)
    return source._replace(skipped=tuple(skipped))


def outline(
    *,
    reference: str,
    label: str | None = None,
    label_key: str | None = None,
    classes: str | None = None,
    channels: Count = 3,
    data_dir: Path | None = None,
    **_: Any,
) -> Source:
    """The same without pixels: every image is one blank pixel.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """

    def look(index: _ShardIndex, labels: Sequence[int]) -> LabelledImages:
        blank = np.zeros((len(labels), 1, 1, channels), np.uint8)
        return LabelledImages(blank, np.array(labels, np.int64))

    indexes = _index_shards(reference, label, label_key, data_dir)
    names = _read_names(classes, data_dir)
    return _make_source(indexes, names, f"webdataset:{reference}", None, look)


def measure(
    *,
    reference: str,
    label: str | None = None,
    label_key: str | None = None,
    data_dir: Path | None = None,
    **_: Any,
) -> ImageSizes | None:
    """Sizes of some images of the training shards, from their heads; None if none can be read.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """
    return _measure(_index_shards(reference, label, label_key, data_dir)["train"])


def _measure(index: _ShardIndex) -> ImageSizes | None:
    rows, sizes = RaggedFiles(index.paths, index.places), []
    for number in range(0, len(rows), max(1, len(rows) // LOOKED_AT)):
        with contextlib.suppress(InputError):
            height, width = EncodedImage(rows.row(number).tobytes(), "").size
            sizes.append((width, height))
    return summarize_sizes(sizes)


def _propose_side(index: _ShardIndex) -> int | None:
    sizes = _measure(index)
    return None if sizes is None else sizes.side


def _index_shards(
    reference: str, label: str | None, label_key: str | None, data_dir: Path | None
) -> dict[str, _ShardIndex]:
    indexes = {}
    for split, paths in find_shards(reference, data_dir).items():
        places: list[tuple[int, int, int]] = []
        names: list[str] = []
        labels: list[str | int] = []
        for number, path in enumerate(paths):
            for sample in list_samples(path, label, label_key):
                places.append((number, sample.start, sample.size_bytes))
                names.append(sample.name)
                labels.append(sample.label)
        if not names:
            raise InputError(f"{paths[0]}: got no image with a label, want KEY.jpg and KEY.cls")
        indexes[split] = _ShardIndex(paths, np.array(places, np.int64), names, labels)
    return indexes


def _make_source(
    indexes: dict[str, _ShardIndex],
    names: list[str] | None,
    where: str,
    resize: int | None,
    read_split: Callable[[_ShardIndex, Sequence[int]], LabelledImages],
) -> Source:
    classes = _name_classes(indexes["train"].labels, names, where)
    number_of = {label: number for number, label in enumerate(classes)}
    splits: dict[str, LabelledImages] = {}
    for split, index in indexes.items():
        for number, label in enumerate(index.labels):
            if label not in number_of:
                raise InputError(
                    f"{index.name_row(number)}: got the label {label!r}, want a class that is in training"
                )
        splits[split] = read_split(index, [number_of[label] for label in index.labels])
    shards = number_text(sum(len(index.paths) for index in indexes.values()), "shard")
    counted = ", ".join(f"{len(index.names)} {split}" for split, index in indexes.items())
    return label_images(
        splits["train"],
        splits.get("validation"),
        splits.get("test"),
        list(classes.values()),
        (f"{shards}; {number_text(len(classes), 'class', 'classes')}; images: {counted}",),
        resize=resize,
    )


def _name_classes(
    labels: Sequence[str | int], names: list[str] | None, where: str
) -> dict[str | int, str]:
    """Name by label, in the order of their numbers: texts by letters, numbers from 0 to the largest.

    Raises:
        InputError: if some are texts and some numbers, a number is below 0, or it has no name.
    """
    kinds = {type(label) for label in labels}
    if kinds == {str}:
        texts = sorted({str(label) for label in labels})
        require_names(texts, where)
        return {text: text for text in texts}
    whole = [label for label in labels if isinstance(label, int)]
    if len(kinds) > 1 or min(whole) < 0 or max(whole) >= 100_000:
        raise InputError(
            f"{where}: got the labels {min(whole)} to {max(whole)}"
            f"{' and texts' if len(kinds) > 1 else ''}, want names, or numbers from 0"
        )
    count = max(whole) + 1
    if names is None:
        return {number: str(number) for number in range(count)}
    if len(names) < count:
        raise InputError(f"{where}: classes: got {len(names)} names, want {count}")
    return dict(enumerate(names))


def _read_names(classes: str | None, data_dir: Path | None) -> list[str] | None:
    if classes is None:
        return None
    path = locate(classes, data_dir)
    with disk.open_regular(path) as file:
        names: list[str] = file.read(2**22).decode(errors="replace").split("\n")
    names = [name.strip() for name in names if name.strip()]
    require_names(names, path)
    return names
