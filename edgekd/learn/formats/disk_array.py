"""An array that grows on the disk: what is larger than memory is written once and read through a map."""

from __future__ import annotations

import tempfile
import weakref
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from numpy.typing import NDArray

from edgekd.errors import MachineError

_PIECE = 2**18
"""Numbers that are converted at once, and bytes that are held back."""


class DiskArray:
    """Numbers [N] in a temporary file without a name, which is gone with the array and its views."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile(prefix="edgekd-", buffering=_PIECE)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._count = 0
        self._view: NDArray[Any] = np.zeros(0, self.dtype)

    def __len__(self) -> int:
        return self._count

    def extend(self, values: NDArray[Any]) -> None:
        """Add numbers [M] at the end, cast to its type.

        Raises:
            MachineError: if the disk is full.
        """
        try:
            for start in range(0, len(values), _PIECE):
                piece = np.ascontiguousarray(values[start : start + _PIECE], self.dtype)
                self._file.write(piece.data)
        except OSError as error:
            raise _refused(error) from error
        self._count += len(values)

    def view(self) -> NDArray[Any]:
        """All numbers so far, mapped: they stay on the disk until they are looked at.

        Raises:
            MachineError: if the disk is full.
        """
        try:
            self._file.flush()
        except OSError as error:
            raise _refused(error) from error
        if len(self._view) != self._count:
            self._view = np.memmap(self._file, self.dtype, "r", shape=(self._count,))
        return self._view


def _refused(error: OSError) -> MachineError:
    return MachineError(
        f"{tempfile.gettempdir()}: cannot be written: {error.strerror}",
        hint="TMPDIR names another folder for what is passing",
    )
