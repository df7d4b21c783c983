"""Source `image-folder`: a folder of class folders, or such folders under train, val and test."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.errors import InputError
from edgekd.learn.data.folder_contents import describe_others
from edgekd.learn.data.folder_contents import list_contents
from edgekd.learn.data.folder_layout import Layout
from edgekd.learn.data.folder_layout import find_layout
from edgekd.learn.data.folder_layout import folder_names
from edgekd.learn.data.image_storage import choose_encoded
from edgekd.learn.data.image_storage import read_images
from edgekd.learn.data.survey import measure_images
from edgekd.learn.formats.encoded_images import whole_files
from edgekd.learn.formats.image import SUFFIXES
from edgekd.learn.formats.image import Shape
from edgekd.learn.formats.image import read_size
from edgekd.learn.formats.image import shape_of
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import label_images
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.settings import Count
from edgekd.units import number_text


class _Listing(NamedTuple):
    """The files of one split."""

    paths: list[Path]
    labels: list[int]


_ReadSplit = Callable[..., tuple[LabelledImages, list[str]]]
"""A split's listing, ``on_broken`` and the number of images in all splits to its samples and what was left out, each
with the reason."""


def files(
    *,
    reference: str,
    layout: str = "auto",
    similar_names: bool = False,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    **_: Any,
) -> list[Path]:
    """All images, split by split, class by class, by name.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """
    root = locate(reference, data_dir)
    _layout, listings, _skipped, _others = _list_images(
        root, find_layout(root, layout, similar_names=similar_names), on_broken
    )
    return [path for listing in listings.values() for path in listing.paths]


def read(
    *,
    reference: str,
    size: Count | None = None,
    resize: Count | None = None,
    channels: Count = 3,
    stored: str = "auto",
    layout: str = "auto",
    similar_names: bool = False,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The images below the folder `reference`; class names are the folders', sorted.

    A photograph that says how it was held (EXIF orientation) is turned upright.

    Args:
        reference: the folder.
        size: side of the square every image is scaled and cut to; None if all have one size.
        resize: shorter side that an image is scaled to before the middle is cut out; None is `size` itself.
        channels: 3 for colour, 1 for grey.
        stored: ``pixels`` stores training images in that size, ``encoded`` as they are, to be decoded for each view;
            ``auto`` is pixels up to 4 GiB of them.
        layout: what the folders in it are: ``splits``, ``classes``, or ``auto`` to tell by their names.
        similar_names: whether class names may differ in the case of letters alone.
        on_broken: ``refuse`` stops at the first image that is broken or of a format that is not read, ``skip``
            leaves them out and lists them. Files that are no images are passed over.

    Raises:
        InputError: naming the image that is of no known format, broken, too large, of
            another size, or a link out of the folder; for an empty or surplus class folder; where
            the names of folders or files can be read in two ways, or cannot be shown.
        MachineError: if Pillow is missing or the images do not fit into memory.
    """
    shape = shape_of(size, channels, f"image-folder:{reference}", resize)
    root = locate(reference, data_dir)
    found = find_layout(root, layout, similar_names=similar_names)
    read_split = functools.partial(_read, shape=shape, stored=stored)
    return _make_source(root, found, on_broken, read_split, resize)


def outline(
    *,
    reference: str,
    channels: Count = 3,
    layout: str = "auto",
    similar_names: bool = False,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    **_: Any,
) -> Source:
    """The same without pixels: an image whose head can be read is one blank pixel.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """
    root = locate(reference, data_dir)
    found = find_layout(root, layout, similar_names=similar_names)
    return _make_source(root, found, on_broken, functools.partial(_look, channels=channels))


def _make_source(
    root: Path,
    layout: Layout,
    on_broken: str,
    read_split: _ReadSplit,
    resize: int | None = None,
) -> Source:
    layout, listings, skipped, others = _list_images(root, layout, on_broken)
    total = sum(len(listing.paths) for listing in listings.values())
    splits = {}
    for name, listing in listings.items():
        splits[name], broken = read_split(listing, on_broken=on_broken, total=total)
        skipped += broken
    note = f"{layout.sentence}; {_describe_depth(listings, layout)}{describe_others(others)}"
    return label_images(
        splits["train"],
        splits.get("validation"),
        splits.get("test"),
        layout.classes,
        (note,),
        tuple(skipped),
        resize,
    )


def _list_images(
    root: Path, layout: Layout, on_broken: str
) -> tuple[Layout, dict[str, _Listing], list[str], list[Path]]:
    """The layout without classes that are left out; the images of each split; what was left out, each with the
    reason; and the files that are no images."""
    require_known(on_broken)
    skipped: list[str] = []
    others: list[Path] = []
    train = layout.splits["train"]
    empty = [name for name in layout.classes if not _list_suffixes(train / name) & SUFFIXES]
    if empty and on_broken == "skip":
        skipped += [f"{train / name}: got no images" for name in empty]
        layout = layout.without(empty)
    splits = {}
    for split, folder in layout.splits.items():
        surplus = sorted(set(folder_names(folder)) - set(layout.classes))
        surplus = surplus if on_broken == "refuse" else [n for n in surplus if n not in empty]
        if surplus:
            raise InputError(f"{folder / surplus[0]}: got a class that is not in training")
        splits[split] = _Listing([], [])
        for label, name in enumerate(layout.classes):
            paths: list[Path] = []
            if (folder / name).exists():
                paths, foreign, beside = list_contents(folder / name, root.resolve())
                others += beside
                unread = [
                    f"{path}: got an image called {path.suffix or 'without a suffix'}, "
                    f"want {' '.join(sorted(SUFFIXES))}"
                    for path in foreign
                ]
                if unread and on_broken == "refuse":
                    raise InputError(unread[0], hint=SKIP_HINT)
                skipped += unread
            if not paths and split == "train":
                raise InputError(
                    f"{folder / name}: got no images, want some in each class folder",
                    hint=SKIP_HINT,
                )
            splits[split].paths.extend(paths)
            splits[split].labels.extend([label] * len(paths))
    return layout, splits, skipped, others


def _list_suffixes(folder: Path) -> set[str]:
    """Suffixes of all files anywhere below a folder, in small letters."""
    return {
        Path(name).suffix.lower()
        for _, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".")
    }


def _look(
    listing: _Listing, *, channels: int, on_broken: str, total: int
) -> tuple[LabelledImages, list[str]]:
    """A blank pixel for each image of a split; and those whose head cannot be read."""
    sizes = [read_size(path) for path in listing.paths]
    skipped = [
        f"{path}: got a bad image, or one of more than 16 bits"
        for path, size in zip(listing.paths, sizes, strict=True)
        if not size
    ]
    if skipped and on_broken == "refuse":
        raise InputError(skipped[0], hint=SKIP_HINT)
    labels = [label for label, size in zip(listing.labels, sizes, strict=True) if size]
    blank = np.zeros((len(labels), 1, 1, channels), np.uint8)
    return LabelledImages(blank, np.array(labels, np.int64)), skipped


def _read(
    listing: _Listing, *, shape: Shape, stored: str, on_broken: str, total: int
) -> tuple[LabelledImages, list[str]]:
    """The images of a split; and what was broken, each with the reason."""
    paths = listing.paths
    return read_images(
        whole_files(paths),
        listing.labels,
        shape,
        lambda number: str(paths[number]),
        are_encoded=choose_encoded(stored, shape, total),
        on_broken=on_broken,
        propose_side=lambda: _propose_side(paths),
    )


def _propose_side(paths: Sequence[Path]) -> int | None:
    sizes = measure_images(paths)
    return None if sizes is None else sizes.side


def _describe_depth(listings: dict[str, _Listing], layout: Layout) -> str:
    """Return how many images there are and how far below the class folders they lie."""
    depths = {
        len(path.relative_to(layout.splits[split]).parts) - 1
        for split, listing in listings.items()
        for path in listing.paths
    }
    count = sum(len(listing.paths) for listing in listings.values())
    if depths == {1}:
        return f"{number_text(count, 'image')} in the class folders"
    deeper = number_text(max(depths) - 1, "folder")
    return f"{number_text(count, 'image')} in and below the class folders, {deeper} deeper at most"
