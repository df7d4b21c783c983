"""A safetensors file of which parts are read: its structure is checked, and nothing else comes into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.formats.header import LARGEST_HEADER_BYTES
from edgekd.learn.formats.header import check_header


class TensorFile:
    """The tensors of an open file."""

    def __init__(self, path: Path, opened: Any) -> None:
        self._path, self._opened = path, opened
        self.names = frozenset(opened.keys())

    def shape(self, name: str) -> torch.Size:
        """The shape of the tensor of that name."""
        return torch.Size(self._opened.get_slice(name).get_shape())

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        """Read a tensor, or some of its rows.

        Raises:
            InputError: if a value is no number.
        """
        whole = rows is None or not self.shape(name)
        found: Tensor = (
            self._opened.get_tensor(name) if whole else self._opened.get_slice(name)[rows]
        )
        if found.is_floating_point() and not bool(found.isfinite().all()):
            raise InputError(f"{self._path}: {name}: got NaN or infinity, want finite weights")
        return found


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a file of tensors.

    Raises:
        InputError: if it is no sound safetensors file.
    """
    with files.open_regular(path) as file:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        beginning = file.read(8 + LARGEST_HEADER_BYTES)
    try:
        check_header(beginning, size_bytes)
        with safe_open(path, framework="pt") as opened:
            yield TensorFile(path, opened)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
