"""Source `npz`: arrays that `numpy.savez` wrote; objects in them are refused, never unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.errors import InputError
from edgekd.learn.formats.npy import read_npz
from edgekd.learn.source import ALIASES
from edgekd.learn.source import Source
from edgekd.learn.source import from_arrays
from edgekd.learn.source import locate


def files(*, reference: str, data_dir: Path | None = None, **_: Any) -> list[Path]:
    """The file.

    Raises:
        InputError: if it is not there.
    """
    return [locate(reference, data_dir)]


def read(
    *,
    reference: str,
    images: str | None = None,
    labels: str | None = None,
    classes: str = "classes",
    axes: str | None = None,
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The arrays of the file `reference`.

    Images are uint8 [N, H, W] or [N, H, W, C], labels whole numbers [N] or [N, 1], under the
    names ``train_images``/``train_labels`` or ``x_train``/``y_train`` or ``x``/``y``; the same
    with ``val`` and ``test`` for the other splits.

    Args:
        reference: the file.
        images: name of the training images, if it is another.
        labels: name of the training labels, if it is another.
        classes: name of an array of class names; ``0``, ``1``, ... if there is none.
        axes: ``NHWC`` or ``NCHW``; needed only where the sizes leave it open.

    Raises:
        InputError: if the file or an array cannot be used.
        MachineError: if the arrays do not fit into memory.
    """
    (path,) = files(reference=reference, data_dir=data_dir)
    known = {name for pair in ALIASES.values() for names in pair for name in names}
    own = {"train_images": images, "train_labels": labels}
    arrays = read_npz(path, sorted(known | {classes} | {name for name in own.values() if name}))
    for goal, name in own.items():
        if name is not None:
            if name not in arrays:
                raise InputError(f"{path}: got no array {name!r}, want it")
            arrays[goal] = arrays[name]
    names = arrays.get(classes)
    if names is not None and (names.dtype.kind != "U" or names.ndim != 1):
        raise InputError(f"{path}: {classes}: got {names.dtype} {list(names.shape)}, want text [C]")
    names_given = None if names is None else names.tolist()
    try:
        return from_arrays(arrays, str(path), classes=names_given, axes=axes)
    except InputError as error:
        error.hint = error.hint or f"inputs of a model without labels: arrays:{reference}"
        raise
