"""Source `image-folder`: a folder of class folders, or such folders under train, val and test."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.formats.image import LIMIT_BYTES
from edgekd.learn.formats.image import Shape
from edgekd.learn.formats.image import decode
from edgekd.learn.formats.image import need_same_size
from edgekd.learn.formats.image import shape_of
from edgekd.learn.source import Source
from edgekd.learn.source import Split
from edgekd.learn.source import locate
from edgekd.learn.source import need_memory
from edgekd.settings import Count

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
_NAMES = {"train": ("train",), "validation": ("val", "validation", "valid"), "test": ("test",)}
_IGNORED = {"thumbs.db", "desktop.ini"}


class _Found(NamedTuple):
    """The images of one split."""

    paths: list[Path]
    labels: list[int]


def files(*, reference: str, data_dir: Path | None = None, **_: Any) -> list[Path]:
    """All images, split by split, class by class, by name.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """
    found_by_split = _walk(locate(reference, data_dir))[0]
    return [path for found in found_by_split.values() for path in found.paths]


def read(
    *,
    reference: str,
    size: Count | None = None,
    channels: Count = 3,
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The images below the folder `reference`; class names are the folders', sorted.

    Args:
        reference: the folder.
        size: side of the square every image is scaled and cut to; None if all have one size.
        channels: 3 for colour, 1 for grey.

    Raises:
        InputError: naming the file that is no image of a known format, is broken, too large, of
            another size, or a link out of the folder; for an empty or surplus class folder.
        MachineError: if Pillow is missing or the images do not fit into memory.
    """
    shape = shape_of(size, channels, f"image-folder:{reference}")
    splits, classes = _walk(locate(reference, data_dir))
    read_splits = {name: _read(found, shape) for name, found in splits.items()}
    return Source(
        read_splits["train"], read_splits.get("validation"), read_splits.get("test"), classes
    )


def _walk(root: Path) -> tuple[dict[str, _Found], tuple[str, ...]]:
    folders = _folders(root)
    present = {
        split: root / name for split, names in _NAMES.items() for name in names if name in folders
    }
    if "train" not in present:
        present = {"train": root}
    classes = tuple(_folders(present["train"]))
    if not classes:
        raise InputError(f"{root}: got no class folders, want one a class")
    splits = {}
    for split, folder in present.items():
        surplus = sorted(set(_folders(folder)) - set(classes))
        if surplus:
            raise InputError(f"{folder / surplus[0]}: got a class that is not in training")
        splits[split] = _Found([], [])
        for label, name in enumerate(classes):
            paths = _images(folder / name, root.resolve()) if (folder / name).exists() else []
            if not paths and split == "train":
                raise InputError(f"{folder / name}: got no images, want some in each class folder")
            splits[split].paths.extend(paths)
            splits[split].labels.extend([label] * len(paths))
    return splits, classes


def _folders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if e.is_dir() and not e.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}, want a folder") from error
    return sorted(names)


def _images(folder: Path, root: Path) -> list[Path]:
    """The images anywhere below a class folder, each inside `root` once links are followed."""
    _check_inside(folder, root)
    found = []
    for here, inner, names in os.walk(folder):
        for name in inner:
            if (Path(here) / name).is_symlink():
                raise InputError(f"{Path(here) / name}: got a link to a folder, want a folder")
        for name in names:
            if name.startswith(".") or name.lower() in _IGNORED:
                continue
            path = Path(here) / name
            if path.suffix.lower() not in SUFFIXES:
                raise InputError(f"{path}: got no image, want {' '.join(sorted(SUFFIXES))}")
            _check_inside(path, root)
            found.append(path)
    return sorted(found)


def _check_inside(path: Path, root: Path) -> None:
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise InputError(f"{path}: got a link out of {root}, want what lies inside")


def _read(found: _Found, shape: Shape) -> Split:
    pixels = np.empty((0, 1, 1, shape.channels), np.uint8)
    for number, path in enumerate(found.paths):
        with disk.open_regular(path) as file:
            image = decode(file.read(LIMIT_BYTES + 1), shape, str(path))
        if number == 0:
            need_memory(len(found.paths) * image.nbytes, str(path.parent))
            pixels = np.empty((len(found.paths), *image.shape), np.uint8)
        need_same_size(image, pixels[0], str(path), str(found.paths[0]))
        pixels[number] = image
    return Split(pixels, np.array(found.labels, np.int64))
