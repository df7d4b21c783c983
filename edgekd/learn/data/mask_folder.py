"""Source `mask-folder`: images and, beside them, masks that say the class of every pixel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.data.folder_contents import describe_others
from edgekd.learn.data.mask_layout import MaskLayout
from edgekd.learn.data.mask_layout import find_mask_layout
from edgekd.learn.data.mask_layout import list_others
from edgekd.learn.data.mask_layout import list_pairs
from edgekd.learn.formats.image import LIMIT_BYTES
from edgekd.learn.formats.image import decode
from edgekd.learn.formats.image import need_same_size
from edgekd.learn.formats.image import shape_of
from edgekd.learn.formats.mask import IGNORED
from edgekd.learn.formats.mask import Palette
from edgekd.learn.formats.mask import decode_mask
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import need_memory
from edgekd.learn.source import require_known
from edgekd.learn.source import require_names
from edgekd.settings import Count
from edgekd.units import number_text

NAMES = "classes.txt"
"""In the folder: the names of the classes, one a line, in the order of their numbers."""


def files(
    *,
    reference: str,
    images: str | None = None,
    masks: str | None = None,
    data_dir: Path | None = None,
    **_: Any,
) -> list[Path]:
    """All images and masks, and the names of the classes where they are written.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """
    root = locate(reference, data_dir)
    names = [root / NAMES] if (root / NAMES).is_file() else []
    layout = find_mask_layout(root, images, masks)
    pairs = (pair for folders in layout.splits.values() for pair in list_pairs(*folders)[0])
    return [*names, *(path for pair in pairs for path in pair)]


def read(
    *,
    reference: str,
    size: Count | None = None,
    channels: Count = 3,
    images: str | None = None,
    masks: str | None = None,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """Images and maps of the folder `reference`: ``images/`` and ``masks/``, alike by name, in it or in each of
    ``train/``, ``val/`` and ``test/``.

    A mask has class numbers (grey or palette; 255 is no class), or two values of which the larger is the class, or a
    colour a class. Classes are called as classes.txt says, one a line; else by their numbers or colours.

    Args:
        reference: the folder.
        size: side of the square that images and masks are scaled and cut to; None if all have one size.
        channels: 3 for colour, 1 for grey.
        images: name of the folder of images; None to tell by its name.
        masks: name of the folder of masks; None to tell by its name.
        on_broken: ``refuse`` stops at the first image or mask that is broken or alone, ``skip`` leaves them out and
            lists them.

    Raises:
        InputError: naming the file that cannot be used, or the folder that could be either.
        MachineError: if Pillow is missing or the images do not fit into memory.
    """
    require_known(on_broken)
    shape = shape_of(size, channels, f"mask-folder:{reference}")
    root = locate(reference, data_dir)
    layout = find_mask_layout(root, images, masks)
    palette, skipped = Palette(), []
    splits: dict[str, dict[str, Any]] = {}
    first: tuple[Path, np.ndarray] | None = None
    for name, folders in layout.splits.items():
        pairs, alone = list_pairs(*folders)
        if alone and on_broken == "refuse":
            raise InputError(alone[0], hint=SKIP_HINT)
        skipped += alone
        pixels: list[np.ndarray] = []
        maps: list[np.ndarray] = []
        for path, beside in pairs:
            try:
                image = decode(_read(path), shape, str(path))
                numbers = decode_mask(_read(beside), size, str(beside), palette)
            except InputError as error:
                if on_broken == "refuse":
                    raise InputError(str(error), hint=error.hint or SKIP_HINT) from error
                skipped.append(str(error))
                continue
            if numbers.shape != image.shape[:2]:
                got = f"{numbers.shape[1]} x {numbers.shape[0]} pixels"
                want = f"{image.shape[1]} x {image.shape[0]} as in {path}"
                raise InputError(f"{beside}: got {got}, want {want}")
            if first is None:
                first = path, image
                count = sum(len(list_pairs(*each)[0]) for each in layout.splits.values())
                need_memory(count * (image.nbytes + numbers.nbytes), str(root))
            need_same_size(image, first[1], str(path), str(first[0]))
            pixels.append(image)
            maps.append(numbers)
        if not pixels:
            raise InputError(f"{folders[0]}: got no images that could be read, want some")
        splits[name] = {"images": np.stack(pixels), "maps": np.stack(maps)}
    splits, classes, how = palette.settle(splits, "maps", str(root))
    classes = _named(root, classes)
    counted = ", ".join(f"{len(each['images'])} {name}" for name, each in splits.items())
    note = (
        f"{number_text(len(classes), 'class', 'classes')} of pixels: {', '.join(classes[:5])}"
        f"{', ...' if len(classes) > 5 else ''}, told from {how}; images with masks: {counted}{_divided(layout)}"
        f"{describe_others(list_others(layout))}"
    )
    fields = {
        "images": FieldWords("image"),
        "maps": FieldWords("map", {"names": classes, "ignored": IGNORED}),
    }
    return Source(splits, fields, (note,), tuple(skipped))


def _divided(layout: MaskLayout) -> str:
    return "" if layout.has_splits else "; no folders for splits"


def _read(path: Path) -> bytes:
    with disk.open_regular(path) as file:
        data: bytes = file.read(LIMIT_BYTES + 1)
    return data


def _named(root: Path, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The names of classes.txt where it is there, else those that were told.

    Raises:
        InputError: if they are fewer than the classes.
    """
    path = root / NAMES
    if not path.is_file():
        return classes
    names = tuple(_lines(path))
    require_names(names, path)
    if len(names) < len(classes) or len(set(names)) < len(names):
        raise InputError(
            f"{path}: got {len(names)} names, want one for each of {len(classes)} classes"
        )
    return names


def _lines(path: Path) -> Iterator[str]:
    text = _read(path).decode("utf-8", errors="replace")
    yield from (line.strip() for line in text.splitlines() if line.strip())
