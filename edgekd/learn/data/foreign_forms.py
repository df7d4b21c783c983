"""Forms of data that others use and no source reads: each is refused by its name, with what is read instead."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.formats.image import FOREIGN_SUFFIXES
from edgekd.learn.formats.image import SUFFIXES as IMAGES
from edgekd.units import number_text

SOUNDS = {".wav", ".flac", ".mp3", ".ogg", ".m4a"}
_HEAD = 2**16


def refuse_foreign(path: Path, counts: Mapping[str, int], own: Sequence[str], images: int) -> None:
    """Refuse a folder in a form that no source reads.

    Args:
        path: the folder.
        counts: of the files below it, by suffix.
        own: names of the files right in it.
        images: how many images there are.

    Raises:
        InputError: for boxes, sound, and images of other formats.
    """
    names = {name.lower(): name for name in own}
    if any(name in names for name in ("data.yaml", "data.yml", "dataset.yaml")) or (
        (path / "labels").is_dir() and images and counts.get(".txt", 0) * 4 >= images
    ):
        raise InputError(
            f"{path}: got a folder in YOLO's form, boxes of objects, which no source reads yet",
            hint="classes of pixels are read: mask-folder:DIR; classes of images: image-folder:DIR",
        )
    for folder in (path, path / "annotations"):
        for file in sorted(folder.glob("*.json"))[:10]:
            refuse_coco(file)
    sounds = sum(counts.get(suffix, 0) for suffix in SOUNDS)
    if sounds > images:
        raise InputError(
            f"{path}: got {number_text(sounds, 'file')} of sound, which no source reads yet"
        )
    foreign = {s: n for s, n in counts.items() if s in FOREIGN_SUFFIXES}
    if foreign and not images:
        got = ", ".join(f"{count} {suffix}" for suffix, count in foreign.items())
        raise InputError(f"{path}: got {got}, want images as {' '.join(sorted(IMAGES))}")


def refuse_coco(path: Path) -> None:
    """Raises InputError if a JSON file is COCO's annotations."""
    with disk.open_regular(path) as file:
        head: bytes = file.read(_HEAD)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _HEAD))
        head += file.read(_HEAD)
    found = sum(word in head for word in (b'"annotations"', b'"images"', b'"categories"'))
    if found >= 2 and head.lstrip()[:1] == b"{":
        raise InputError(
            f"{path}: got annotations in COCO's form, boxes or outlines of objects, which no source reads yet",
            hint="classes of pixels are read: mask-folder:DIR; classes of images: image-folder:DIR",
        )
