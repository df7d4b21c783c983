"""What a data source gives: the rows of every field in at most three splits; and how foreign bytes become one.

A source is a module of `edgekd.learn.data` with two functions:

- ``files(*, <knobs>, data_dir, allow_download)``: the files it will read, for the plan and for digests;
- ``read(*, <knobs>, data_dir, allow_code, allow_download)``: the `Source`. One that can download has a third,
  ``remote(*, <knobs>, data_dir)``: the addresses of what is not here.
What is wrong with the user's files is an InputError that names the file; what this machine lacks
is a MachineError. Nothing read here is ever unpickled, extracted to a path or executed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.field import RaggedRows
from edgekd.units import bytes_text

if TYPE_CHECKING:
    import numpy as np

    from edgekd.field import Rows

SPLITS = ("train", "validation", "test")
ON_BROKEN = ("refuse", "skip")
SKIP_HINT = "on_broken: skip, beside the source's name, leaves out and lists what is broken"
MOST_CHANNELS = 4
"""Of an image whose axes are not named."""
ALIASES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "train": (
        ("train_images", "x_train", "images", "x"),
        ("train_labels", "y_train", "labels", "y"),
    ),
    "validation": (
        ("validation_images", "val_images", "x_validation", "x_val"),
        ("validation_labels", "val_labels", "y_validation", "y_val"),
    ),
    "test": (("test_images", "x_test"), ("test_labels", "y_test")),
}
"""Names under which arrays are looked for: those of a split's images and of its labels."""


class FieldWords(NamedTuple):
    """Kind and facts of one field, as its source gives them."""

    kind: str
    """A name of `edgekd.fields`."""
    words: Mapping[str, Any] = {}
    """What is no fact of the rows alone, such as the names of classes; parameters of the field's `describe`."""


AS_GIVEN = FieldWords("array")
"""Of a field whose rows a model takes or gives as they are."""


class Source(NamedTuple):
    """A data set as its maker split it."""

    splits: Mapping[str, Mapping[str, Rows]]
    """Rows by field, by name of the split; all but ``train`` may be missing."""
    fields: Mapping[str, FieldWords]
    """In the order in which a model takes them."""
    notes: tuple[str, ...] = ()
    """What was concluded where the files left it open, a sentence each; the user is shown them."""
    skipped: tuple[str, ...] = ()
    """Files that were left out, each with the reason."""
    answers: tuple[str, ...] = ()
    """Which fields are what a model answers to the others."""
    tokenizer: bytes = b""
    """The tokenizer.json of its tokens, if there is one."""
    places: Mapping[str, RaggedRows] = {}
    """By split, of each token of another tokenizer, which cut the texts: the place of its partner here, or -1."""


class LabelledImages(NamedTuple):
    """Images and what they show."""

    images: np.ndarray
    """uint8 [N, H, W, C]."""
    labels: np.ndarray
    """int64 [N], each in [0, number of classes)."""


def label_images(
    train: LabelledImages,
    validation: LabelledImages | None,
    test: LabelledImages | None,
    classes: Sequence[str],
    notes: tuple[str, ...] = (),
    skipped: tuple[str, ...] = (),
    resize: int | None = None,
) -> Source:
    """The source of labelled images: fields ``images`` and ``labels``; a split that is None is missing. `resize` is the
    shorter side that images are scaled to before their middle is cut out, where it is not the size."""
    given = zip(SPLITS, (train, validation, test), strict=True)
    splits = {name: split._asdict() for name, split in given if split is not None}
    described = {
        "images": FieldWords("image", {"resize": resize} if resize else {}),
        "labels": FieldWords("class", {"names": tuple(classes)}),
    }
    return Source(splits, described, notes, skipped)


def require_sound(source: Source, where: str) -> Source:
    """Return `source` itself, if its splits have the fields it says, in as many rows.

    Args:
        source: what was read.
        where: how to call it in a message.

    Raises:
        InputError: for unknown or missing splits or fields, rows that are none, or more of one field than of another.
    """
    strangers = set(source.splits) - set(SPLITS)
    if strangers or "train" not in source.splits:
        got = ", ".join(sorted(map(str, source.splits)))
        raise InputError(f"{where}: got splits {got or 'none'}, want train, validation, test")
    for name, rows in source.splits.items():
        here = f"{where}, {name} split"
        if set(rows) != set(source.fields):
            got, want = ", ".join(sorted(rows)), ", ".join(sorted(source.fields))
            raise InputError(f"{here}: got fields {got or 'none'}, want {want}")
        for field, each in rows.items():
            if not isinstance(each, RaggedRows) and getattr(each, "ndim", 0) < 1:
                got = type(each).__name__
                raise InputError(f"{here}: {field}: got {got}, want an array of rows")
        counts = {field: len(each) for field, each in rows.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{count} of {field}" for field, count in counts.items())
            raise InputError(f"{here}: got {told}, want as many of each")
        if not next(iter(counts.values()), 0):
            raise InputError(f"{here}: got no samples, want some")
    return source


def require_known(on_broken: str) -> None:
    """Refuse another word than those of `ON_BROKEN`.

    Raises:
        InputError: if it is none of them.
    """
    if on_broken not in ON_BROKEN:
        raise InputError(f"on_broken: got {on_broken!r}, want one of: {', '.join(ON_BROKEN)}")


def require_names(names: Iterable[str], where: str | Path) -> None:
    """Refuse a name that has control characters, marks of direction, or is not UTF-8.

    Raises:
        InputError: showing the first one.
    """
    for name in names:
        if not name.isprintable() or not name.strip():
            raise InputError(
                f"{where}: got the name {name!r}, want text in UTF-8 without control characters"
            )


def as_images(array: np.ndarray, where: str, axes: str | None = None) -> np.ndarray:
    """uint8 [N, H, W], [N, H, W, C] or [N, C, H, W] as [N, H, W, C].

    Args:
        array: the images.
        where: how to call them in a message.
        axes: ``NHWC`` or ``NCHW``; None takes the last of four axes for the channels, unless its
            size cannot be one of channels and that of the second can.

    Raises:
        InputError: for another type or number of axes, or where `axes` has to say it.
    """
    if axes not in (None, "NHWC", "NCHW"):
        raise InputError(f"axes: got {axes!r}, want NHWC or NCHW")
    if array.dtype != "uint8" or array.ndim not in (3, 4):
        raise InputError(
            f"{where}: got {array.dtype} {list(array.shape)}, want uint8 [N, H, W] or [N, H, W, C]"
        )
    if array.ndim == 3:
        return array[..., None]
    if axes is None and array.shape[3] > MOST_CHANNELS >= array.shape[1]:
        raise InputError(
            f"{where}: got {list(array.shape)}, want the channels on the last axis",
            hint="axes: NCHW says that they come second, axes: NHWC that they come last",
        )
    return array.transpose(0, 2, 3, 1) if axes == "NCHW" else array


def as_labels(array: np.ndarray, where: str) -> np.ndarray:
    """Whole numbers [N] or [N, 1] as int64 [N].

    Raises:
        InputError: for floats, NaN, one-hot rows or numbers beyond int64.
    """
    if array.dtype.kind == "f" and (array != array).any():
        raise InputError(f"{where}: got NaN among the labels, want whole numbers")
    if array.dtype.kind not in "iu":
        raise InputError(f"{where}: got labels of type {array.dtype}, want whole numbers")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{where}: got labels {list(array.shape)}, want [N]")
    if array.dtype.kind == "u" and len(array) and array.max() >= 2**63:
        raise InputError(f"{where}: got label {array.max()}, want 0 to the number of classes - 1")
    return array.astype("int64")


def from_arrays(
    arrays: Mapping[str, np.ndarray],
    where: str,
    *,
    classes: Sequence[str] | None = None,
    axes: str | None = None,
) -> Source:
    """A source from arrays under the names of `ALIASES`.

    Args:
        arrays: by name; other names are ignored.
        where: how to call them in a message.
        classes: the class names; None takes ``0``, ``1``, ... up to the largest label.
        axes: of images with four (see `as_images`).

    Raises:
        InputError: if the training arrays are missing, a split is half there or has wrong types.
    """
    splits: dict[str, LabelledImages] = {}
    for name, (image_names, label_names) in ALIASES.items():
        images = next((key for key in image_names if key in arrays), None)
        labels = next((key for key in label_names if key in arrays), None)
        if images is None and labels is None and name != "train":
            continue
        if images is None or labels is None:
            want = image_names if images is None else label_names
            raise InputError(f"{where}: got no array {' or '.join(want)}, want one")
        splits[name] = LabelledImages(
            as_images(arrays[images], f"{where}: {images}", axes),
            as_labels(arrays[labels], f"{where}: {labels}"),
        )
    if classes is None:
        largest = max(int(split.labels.max(initial=-1)) for split in splits.values())
        if largest >= 100_000:
            raise InputError(f"{where}: got label {largest}, want 0 to the number of classes - 1")
        classes = [str(number) for number in range(largest + 1)]
    return label_images(
        splits["train"], splits.get("validation"), splits.get("test"), tuple(classes)
    )


def locate(reference: str, data_dir: Path | None) -> Path:
    """Return what a recipe's path means: as it stands, or else inside `data_dir`.

    Raises:
        InputError: if there is nothing in either place.
    """
    path = Path(reference).expanduser()
    places = [path] if path.is_absolute() or data_dir is None else [path, data_dir / path]
    for place in places:
        if place.exists() or place.is_symlink():
            return place
    looked = [str(place.absolute()) for place in places]
    where = "there" if looked == [reference] else f"at {' or '.join(looked)}"
    hint = "" if path.is_absolute() else "data are named from the folder you are in"
    raise InputError(f"{reference}: got nothing {where}, want a file or folder", hint=hint)


def need_memory(size_bytes: int, where: str) -> None:
    """Refuse what this machine cannot hold.

    Raises:
        MachineError: if `size_bytes` is more than three quarters of the memory.
    """
    import psutil

    total_bytes = psutil.virtual_memory().total
    if size_bytes > 0.75 * total_bytes:
        raise MachineError(
            f"{where}: got {bytes_text(size_bytes)} of pixels, want less than three quarters of "
            f"this machine's {bytes_text(total_bytes)} of memory",
            hint="set a smaller size or a limit",
        )


def need_package(module: str, extra: str, what: str) -> None:
    """Refuse to go on without an installed package, and say how to get it.

    Raises:
        MachineError: if `module` cannot be found.
    """
    if importlib.util.find_spec(module) is None:
        raise MachineError(
            f"{what}: got no package {module!r}, want it installed",
            hint=f"pip install 'edgekd[{extra}]'",
        )
