"""Source `arrays`: a .npz file with an array an input, under its name; no labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import InputError
from edgekd.learn.formats.npy import list_npz
from edgekd.learn.formats.npy import read_npz
from edgekd.learn.source import AS_GIVEN
from edgekd.learn.source import Source
from edgekd.learn.source import locate

HALVES = {np.dtype(np.float64): np.float32, np.dtype(np.float16): np.float32}
"""Floats that a model takes in another width."""


def files(*, reference: str, data_dir: Path | None = None, **_: Any) -> list[Path]:
    """The file.

    Raises:
        InputError: if it is not there.
    """
    return [locate(reference, data_dir)]


def read(
    *,
    reference: str,
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """Every array of the file `reference`: [N, ...] of what a model takes, as it takes it, in the file's order.

    Args:
        reference: the file.

    Raises:
        InputError: if it cannot be used.
        MachineError: if the arrays do not fit into memory.
    """
    (path,) = files(reference=reference, data_dir=data_dir)
    names = list_npz(path)
    if not names:
        raise InputError(f"{path}: got no arrays, want one for each input of the model")
    arrays = {name: _narrow(array) for name, array in read_npz(path, names).items()}
    fields = dict.fromkeys(names, AS_GIVEN)
    return Source({"train": {name: arrays[name] for name in names}}, fields)


def _narrow(array: np.ndarray) -> np.ndarray:
    return array.astype(HALVES[array.dtype]) if array.dtype in HALVES else array
