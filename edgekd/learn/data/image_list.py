"""Source `image-list`: a CSV, TSV, JSON or JSON-lines list of image files with their labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.errors import InputError
from edgekd.learn.data.columns import describe_unlabelled
from edgekd.learn.data.columns import drop_unlabelled
from edgekd.learn.data.columns import find_column
from edgekd.learn.data.columns import find_splits
from edgekd.learn.data.columns import is_label
from edgekd.learn.data.columns import is_missing
from edgekd.learn.data.columns import number_classes
from edgekd.learn.data.columns import require_unlabelled
from edgekd.learn.data.image_storage import choose_encoded
from edgekd.learn.data.image_storage import read_images
from edgekd.learn.data.survey import measure_images
from edgekd.learn.formats.encoded_images import whole_files
from edgekd.learn.formats.image import SUFFIXES
from edgekd.learn.formats.image import read_size
from edgekd.learn.formats.image import shape_of
from edgekd.learn.formats.records import Records
from edgekd.learn.formats.records import read_records
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import label_images
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.learn.source import require_names
from edgekd.settings import Count
from edgekd.units import number_text

_SplitRead = tuple[LabelledImages, list[str]]
"""The images of a split, and what was broken, each with the reason."""


class _Listing(NamedTuple):
    """What a list says."""

    root: Path
    records: Records
    file: str
    label: str
    split: str | None
    splits: dict[str, list[int]]
    classes: tuple[str, ...]
    labels: list[int]
    dropped: list[str]
    """Rows that are left out, each with the reason."""

    def path(self, number: int) -> Path:
        """Of a row's image."""
        return self.root / str(self.records.rows[number][self.file])


def files(
    *,
    reference: str,
    file: str | None = None,
    label: str | None = None,
    split: str | None = None,
    on_broken: str = "refuse",
    unlabelled: str = "refuse",
    data_dir: Path | None = None,
    **_: Any,
) -> list[Path]:
    """The list and the images that it names and that are there.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """
    path = locate(reference, data_dir)
    listing = _read_list(path, file, label, split, on_broken, unlabelled)
    images = (listing.path(number) for number in range(len(listing.records.rows)))
    return [path, *dict.fromkeys(image for image in images if image.is_file())]


def read(
    *,
    reference: str,
    file: str | None = None,
    label: str | None = None,
    split: str | None = None,
    size: Count | None = None,
    resize: Count | None = None,
    channels: Count = 3,
    stored: str = "auto",
    on_broken: str = "refuse",
    unlabelled: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The images that the list `reference` names, beside it or below its folder.

    Args:
        reference: the list.
        file: column of the images' paths; None to tell by its name.
        label: column of the labels; None to tell by its name.
        split: column with train, validation or test; None takes ``split`` or the like where there is one.
        size: side of the square every image is scaled and cut to; None if all have one size.
        resize: shorter side that an image is scaled to before the middle is cut out; None is `size` itself.
        channels: 3 for colour, 1 for grey.
        stored: ``pixels``, ``encoded`` or ``auto``, as for `image-folder`.
        on_broken: ``refuse`` stops at the first row whose image is missing or broken, ``skip`` leaves such
            rows out and lists them.
        unlabelled: ``keep`` has training rows without a label teach the student what its teacher says of them.

    Raises:
        InputError: naming the row whose image is missing, broken, of another size or outside the list's folder; where
            several columns could be it.
        MachineError: if Pillow is missing or the images do not fit into memory.
    """
    shape = shape_of(size, channels, f"image-list:{reference}", resize)
    path = locate(reference, data_dir)
    listing = _read_list(path, file, label, split, on_broken, unlabelled)
    are_encoded = choose_encoded(stored, shape, len(listing.records.rows))

    def read_split(paths: list[Path], labels: list[int], places: list[str]) -> _SplitRead:
        return read_images(
            whole_files(paths),
            labels,
            shape,
            places.__getitem__,
            are_encoded=are_encoded,
            on_broken=on_broken,
            propose_side=lambda: _propose_side(listing),
        )

    return _make_source(path, listing, on_broken, read_split, resize)


def outline(
    *,
    reference: str,
    file: str | None = None,
    label: str | None = None,
    split: str | None = None,
    channels: Count = 3,
    on_broken: str = "refuse",
    unlabelled: str = "refuse",
    data_dir: Path | None = None,
    **_: Any,
) -> Source:
    """The same without pixels: an image whose head can be read is one blank pixel.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """

    def look(paths: list[Path], labels: list[int], places: list[str]) -> _SplitRead:
        seen = np.array([read_size(path) is not None for path in paths], bool)
        broken = [
            f"{where}: got a bad image, or one of more than 16 bits"
            for where, is_sound in zip(places, seen, strict=True)
            if not is_sound
        ]
        if broken and on_broken == "refuse":
            raise InputError(broken[0], hint=SKIP_HINT)
        blank = np.zeros((int(seen.sum()), 1, 1, channels), np.uint8)
        return LabelledImages(blank, np.array(labels, np.int64)[seen]), broken

    path = locate(reference, data_dir)
    return _make_source(
        path, _read_list(path, file, label, split, on_broken, unlabelled), on_broken, look
    )


def _make_source(
    path: Path,
    listing: _Listing,
    on_broken: str,
    read_split: Callable[[list[Path], list[int], list[str]], _SplitRead],
    resize: int | None = None,
) -> Source:
    skipped, hint = list(listing.dropped), ""
    splits: dict[str, LabelledImages] = {}
    for name, numbers in listing.splits.items():
        paths: list[Path] = []
        labels: list[int] = []
        places: list[str] = []
        for number in numbers:
            where = listing.records.where(path, number)
            try:
                paths.append(_inside(listing, number, where))
            except InputError as error:
                if on_broken == "refuse":
                    raise InputError(str(error), hint=error.hint or SKIP_HINT) from error
                skipped.append(str(error))
                hint = error.hint
                continue
            labels.append(listing.labels[number])
            places.append(where)
        splits[name], broken = read_split(paths, labels, places)
        skipped += broken
        if not len(splits[name].labels):
            why = f"; the last: {skipped[-1]}" if skipped else ""
            raise InputError(f"{path}: got no image of the {name} split, want some{why}", hint=hint)
    return label_images(
        splits["train"],
        splits.get("validation"),
        splits.get("test"),
        listing.classes,
        (_describe(listing),),
        tuple(skipped),
        resize,
    )


def _propose_side(listing: _Listing) -> int | None:
    sizes = measure_images([listing.path(number) for number in range(len(listing.records.rows))])
    return None if sizes is None else sizes.side


def _read_list(
    path: Path,
    file: str | None,
    label: str | None,
    split: str | None,
    on_broken: str,
    unlabelled: str,
) -> _Listing:
    require_known(on_broken)
    require_unlabelled(unlabelled)
    records = read_records(path)
    where = str(path)
    found_file = find_column(records, "file", file, where, is_image_name)
    split_column, _ = find_splits(records, split, path, where)
    others = [found_file, *([split_column] if split_column else [])]
    found_label = find_column(records, "label", label, where, is_label, without=others)
    records, dropped = drop_unlabelled(records, found_label, path, on_broken, unlabelled)
    _, splits = find_splits(records, split, path, where)
    labels = []
    for number, row in enumerate(records.rows):
        for column, fits in ((found_file, is_image_name), (found_label, _may_stand)):
            if not fits(row.get(column)):
                got = str(row.get(column, "nothing"))[:40]
                raise InputError(f"{records.where(path, number)}: {column}: got {got!r}, want it")
        labels.append(row.get(found_label))
    require_names((str(each) for each in labels if not is_missing(each)), where)
    classes, numbers = number_classes(labels, splits["train"], records, path, found_label)
    return _Listing(
        path.parent,
        records,
        found_file,
        found_label,
        split_column,
        splits,
        classes,
        numbers,
        dropped,
    )


def is_image_name(value: Any) -> bool:
    """Return whether a cell is the path of an image."""
    return isinstance(value, str) and Path(value).suffix.lower() in SUFFIXES


def _may_stand(label: Any) -> bool:
    return is_missing(label) or is_label(label)


def _inside(listing: _Listing, number: int, where: str) -> Path:
    path = listing.path(number)
    if not path.exists():
        raise InputError(f"{where}: got {str(path)!r}, want a file that is there")
    if not path.resolve().is_relative_to(listing.root.resolve()):
        raise InputError(
            f"{where}: got {str(path)!r}, want a file below the list's folder {listing.root}",
            hint="put the list into a folder that holds the images, at any depth",
        )
    return path


def _describe(listing: _Listing) -> str:
    counted = ", ".join(f"{len(numbers)} {name}" for name, numbers in listing.splits.items())
    split = f", splits in {listing.split}" if listing.split else "; no column for splits"
    named = ", ".join(listing.classes[:5]) + (", ..." if len(listing.classes) > 5 else "")
    return (
        f"files in column {listing.file}, labels in {listing.label}{split}; "
        f"{number_text(len(listing.classes), 'class', 'classes')}: {named}; images: {counted}"
        f"{describe_unlabelled(listing.labels)}"
    )
