"""One class a sample."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from typing import Self

import numpy as np

from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import form_text
from edgekd.field import require
from edgekd.field import require_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows


UNLABELLED = -100
"""Stands for a class that nobody has said, as in torch; among training samples alone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Label(Field):
    """int64 [N], numbers of classes, or `UNLABELLED`."""

    kind: ClassVar[str] = "class"
    names: tuple[str, ...]
    """Of the classes, in the order of their numbers."""

    def __post_init__(self) -> None:
        require_names(self.names)

    @classmethod
    def describe(cls, rows: Rows, order: NDArray[np.int64], **said: Any) -> Self:
        """Every class has to occur in ``rows[order]``; some rows may be `UNLABELLED`."""
        found = cls(**said)
        if isinstance(rows, np.ndarray) and rows.dtype == np.int64 and rows.ndim == 1:
            known = rows[rows != UNLABELLED]
            require(bool(len(known)), "no training sample with a label")
            found.check(known, "train split")
            chosen = rows[order]
            counts = np.bincount(chosen[chosen != UNLABELLED], minlength=len(found.names))
            number = int(counts.argmin())
            name = found.names[number]
            require(bool(counts[number]), f"no training sample of class {name!r} ({number})")
        return found

    def check(self, rows: Rows, where: str) -> None:
        """Refuse other numbers than those of the classes."""
        if not isinstance(rows, np.ndarray) or rows.dtype != np.int64 or rows.ndim != 1:
            raise InputError(f"{where}: got labels {form_text(rows)}, want int64 [N]")
        if not len(rows):
            raise InputError(f"{where}: got no samples, want some")
        low, high = int(rows.min()), int(rows.max())
        if low < 0 or high >= len(self.names):
            wrong = low if low < 0 else high
            raise InputError(f"{where}: got label {wrong}, want 0 to {len(self.names) - 1}")

    def find_known(self, rows: Rows) -> NDArray[np.bool_] | None:
        """Bool [N], false for `UNLABELLED`."""
        if not isinstance(rows, np.ndarray) or rows.ndim != 1:
            return None
        known: NDArray[np.bool_] = rows != UNLABELLED
        return None if known.all() else known

    def sizes(self) -> dict[str, int]:
        """``classes``."""
        return {"classes": len(self.names)}

    def preview(self, rows: Rows) -> str:
        """The class's name."""
        number = int(np.asarray(rows)[0])
        return "(no label)" if number == UNLABELLED else self.names[number]

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """The numbers as they are."""
        return {name: np.asarray(rows)}

    def mix(
        self, name: str, rows: Rows, others: Rows, share: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Probabilities float32 [N, classes]."""
        one_hot = np.eye(len(self.names), dtype=np.float32)
        part = share.reshape(-1, 1)
        return {name: one_hot[np.asarray(rows)] * part + one_hot[np.asarray(others)] * (1 - part)}

    def strata(self, rows: Rows) -> NDArray[np.int64]:
        """The classes themselves, -1 where there is none."""
        numbers: NDArray[np.int64] = np.maximum(np.asarray(rows), -1)
        return numbers
