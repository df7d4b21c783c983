"""Source `huggingface`: a data set as Hugging Face keeps them, in local files or on its hub."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import InputError
from edgekd.learn import hub
from edgekd.learn.data.image_rows import collect_encoded
from edgekd.learn.data.image_rows import collect_pixels
from edgekd.learn.data.image_storage import choose_encoded
from edgekd.learn.data.survey import LOOKED_AT
from edgekd.learn.data.survey import ImageSizes
from edgekd.learn.data.survey import summarize_sizes
from edgekd.learn.formats import parquet
from edgekd.learn.formats.image import EncodedImage
from edgekd.learn.formats.image import shape_of
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import as_labels
from edgekd.learn.source import label_images
from edgekd.learn.source import locate
from edgekd.learn.source import need_package
from edgekd.learn.source import require_known
from edgekd.settings import Count

_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_USUAL = {"validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
IMAGE_COLUMNS = ("img", "images", "picture", "photo", "pixels")
LABEL_COLUMNS = ("labels", "fine_label", "class", "target", "y", "category")
"""What a column is called where it is not called as usual."""


def files(
    *,
    reference: str,
    data_dir: Path | None = None,
    allow_download: bool = False,
    **_: Any,
) -> list[Path]:
    """The local files; none for a name on the hub (see `pins`).

    Raises:
        InputError: if there are none and the hub may not be asked.
    """
    found = _local(reference, data_dir)
    if found is None:
        _need_leave(reference, allow_download)
        return []
    return sorted(path for paths in found.values() for path in paths)


def remote(*, reference: str, data_dir: Path | None = None, **_: Any) -> tuple[str, ...]:
    """Return what the hub would be asked for; nothing if the files are here."""
    return () if _local(reference, data_dir) is not None else (f"hub:{reference}",)


def pins(
    *, reference: str, data_dir: Path | None = None, allow_download: bool = False, **_: Any
) -> dict[str, str]:
    """For a name on the hub, the commit it stands at; nothing for local files.

    Raises:
        InputError: if the hub may not be asked.
        MachineError: if it cannot.
    """
    if _local(reference, data_dir) is not None:
        return {}
    _need_leave(reference, allow_download)
    return {f"hub:{reference}": hub.find_commit(reference)}


def read(
    *,
    reference: str,
    train_split: str = "train",
    validation_split: str | None = None,
    test_split: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    subset: str | None = None,
    size: Count | None = None,
    resize: Count | None = None,
    channels: Count = 3,
    stored: str = "auto",
    limit: Count | None = None,
    streaming: bool = True,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """A data set of Parquet or Arrow files; code that comes with one is never run.

    Args:
        reference: a folder, a file, or a name on the hub (only with --allow-download).
        train_split: name of the training split.
        validation_split: name of the validation split; None takes `validation` or `val` if there.
        test_split: name of the test split; None takes `test` if there.
        image_column: encoded images, or nested lists of 0 to 255; None takes ``image``, else what is called alike.
        label_column: whole numbers, or text; None takes ``label``, else what is called alike.
        subset: which configuration, for a name on the hub.
        size: side of the square encoded images are scaled and cut to; None leaves them.
        resize: shorter side that an image is scaled to before the middle is cut out; None is `size` itself.
        channels: 3 for colour, 1 for grey.
        stored: ``pixels``, ``encoded`` or ``auto``, as for `image-folder`; auto is pixels where the files do not say
            how many rows they have.
        limit: rows read of each split, from its start; None reads all.
        streaming: read a hub's rows as they come instead of downloading all first.
        on_broken: ``refuse`` stops at the first row without a whole image, ``skip`` leaves such rows
            out and lists them.

    Raises:
        InputError: naming the file and row that cannot be used.
        MachineError: if a package is missing, the hub cannot be reached, or memory is too small.
    """
    where = f"huggingface:{reference}"
    require_known(on_broken)
    shape = shape_of(size, channels, where, resize)
    skipped: list[str] = []
    local = _local(reference, data_dir)
    need_package("datasets" if local is None else "pyarrow", "hub", where)
    if local is None:
        _need_leave(reference, allow_download)
        names_there = hub.list_splits(reference, subset)
    else:
        names_there = tuple(local)
    chosen = _choose(names_there, train_split, validation_split, test_split, where)
    columns = [] if local is None else parquet.list_columns(local[chosen["train"]][0])
    image_column = image_column or _find_column(columns, "image", IMAGE_COLUMNS, where)
    label_column = label_column or _find_column(columns, "label", LABEL_COLUMNS, where)
    there = sum(
        parquet.count_rows(p) for name in chosen.values() for p in (local or {}).get(name, ())
    )
    collect = collect_encoded if choose_encoded(stored, shape, there) else collect_pixels
    names: list[str] | None = None
    splits: dict[str, LabelledImages] = {}
    for split, their_name in chosen.items():
        if local is None:
            rows = hub.read_rows(
                reference, subset, their_name, (image_column, label_column), streaming
            )
        else:
            rows = parquet.read_rows(local[their_name], image_column, label_column)
        rows = rows._replace(pairs=islice(rows.pairs, limit))
        images, values = collect(
            rows, shape, f"{where}, {their_name} split", skipped if on_broken == "skip" else None
        )
        if split == "train":
            names = rows.names or _text_classes(values)
        splits[split] = LabelledImages(
            images, _labels(values, names, f"{where}, {their_name} split")
        )
    if names is None:
        names = [str(number) for number in range(int(splits["train"].labels.max()) + 1)]
    return label_images(
        splits["train"],
        splits.get("validation"),
        splits.get("test"),
        tuple(names),
        (f"images in column {image_column}, labels in {label_column}",),
        skipped=tuple(skipped),
        resize=resize,
    )


def measure(
    *,
    reference: str,
    train_split: str = "train",
    image_column: str | None = None,
    label_column: str | None = None,
    data_dir: Path | None = None,
    **_: Any,
) -> ImageSizes | None:
    """Sizes of the first images of the training split's files, from their heads; None of a name on the hub, and where
    images are lists of numbers.

    Raises:
        InputError: as `read`, as far as it can be seen without decoding.
    """
    local, where = _local(reference, data_dir), f"huggingface:{reference}"
    if local is None or train_split not in local:
        return None
    need_package("pyarrow", "hub", where)
    columns = parquet.list_columns(local[train_split][0])
    image_column = image_column or _find_column(columns, "image", IMAGE_COLUMNS, where)
    label_column = label_column or _find_column(columns, "label", LABEL_COLUMNS, where)
    rows = parquet.read_rows(local[train_split], image_column, label_column)
    sizes = []
    for image, _label, place in islice(rows.pairs, LOOKED_AT):
        data = image.get("bytes") if isinstance(image, dict) else image
        if isinstance(data, bytes):
            with contextlib.suppress(InputError):
                height, width = EncodedImage(data, place).size
                sizes.append((width, height))
    return summarize_sizes(sizes)


def _local(reference: str, data_dir: Path | None) -> dict[str, list[Path]] | None:
    """Files by split; None if `reference` can only be a name on the hub."""
    try:
        path = locate(reference, data_dir)
    except InputError:
        if _HUB_NAME.fullmatch(reference) and not reference.endswith(parquet.SUFFIXES):
            return None
        raise
    if not path.is_dir():
        return {"train": [path]}
    found = parquet.split_files(path)
    if not found:
        raise InputError(f"{path}: got no .parquet or .arrow file, want some")
    return {"train": found[""]} if set(found) == {""} else found


def _need_leave(reference: str, allow_download: bool) -> None:
    if not allow_download:
        raise InputError(
            f"huggingface:{reference}: got no such file or folder, and a name on the hub needs leave",
            hint="give --allow-download",
        )


def _choose(
    there: tuple[str, ...], train: str, validation: str | None, test: str | None, where: str
) -> dict[str, str]:
    """Our split names to theirs."""
    chosen = {"train": train}
    for split, wanted in (("validation", validation), ("test", test)):
        found = wanted or next((name for name in _USUAL[split] if name in there), None)
        if found is not None:
            chosen[split] = found
    for name in chosen.values():
        if name not in there:
            raise InputError(f"{where}: got no split {name!r}, want one of: {', '.join(there)}")
    return chosen


def _find_column(columns: Sequence[str], usual: str, others: tuple[str, ...], where: str) -> str:
    """The usual column, or the only one of the others that is there.

    Raises:
        InputError: if several are.
    """
    found = [name for name in others if name in columns]
    if usual in columns or not found:
        return usual
    if len(found) > 1:
        raise InputError(
            f"{where}: got the columns {', '.join(found)}, which could all be the {usual}",
            hint=f"{usual}_column: {found[0]}, beside the source's name, says which",
        )
    return found[0]


def _text_classes(values: list[Any]) -> list[str] | None:
    return sorted(set(values)) if all(isinstance(value, str) for value in values) else None


def _labels(values: list[Any], names: list[str] | None, where: str) -> np.ndarray:
    if names is not None and all(isinstance(value, str) for value in values):
        number = {name: index for index, name in enumerate(names)}
        unknown = sorted(set(values) - set(number))
        if unknown:
            raise InputError(f"{where}: got class {unknown[0]!r}, which training has not")
        values = [number[value] for value in values]
    if any(value is None for value in values):
        raise InputError(f"{where}: got a row without a label, want one in each")
    return as_labels(np.asarray(values), where)
