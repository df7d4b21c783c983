"""Which samples belong together, and how alike they are said to be."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import form_text
from edgekd.field import require
from edgekd.field import require_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

MOST_DIMENSIONS = 2**16
_MOST_SCORE, _MOST_NUMBER = 1e30, 2**53


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pairs(Field):
    """float64 [N, 3]: a whole number that those have in common which belong together; which of them it is, from 0 on;
    and how alike they are, 0 where nobody says it."""

    kind: ClassVar[str] = "pairs"
    dimensions: int
    """Of the vectors that a model gives."""
    scored: bool = False
    """Whether it is said how alike two are."""

    def __post_init__(self) -> None:
        require_whole("dimensions", self.dimensions, 2, MOST_DIMENSIONS)
        require(isinstance(self.scored, bool), f"scored {self.scored!r}, want true or false")

    def check(self, rows: Rows, where: str) -> None:
        """Refuse what is no whole number from 0 on and a finite score."""
        if not isinstance(rows, np.ndarray) or rows.dtype != np.float64 or rows.shape[1:] != (3,):
            raise InputError(f"{where}: got {form_text(rows)}, want float64 [N, 3]")
        if not len(rows):
            raise InputError(f"{where}: got no samples, want some")
        numbers, members, scores = np.asarray(rows).T
        whole = (each == np.floor(each) for each in (numbers, members))
        fits = (numbers >= 0) & (members >= 0) & (np.maximum(numbers, members) < _MOST_NUMBER)
        wrong = ~(np.logical_and(*whole) & fits & (abs(scores) <= _MOST_SCORE))
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            got = f"{', '.join(f'{value:g}' for value in rows[at])} in sample {at}"
            raise InputError(f"{where}: got {got}, want two whole numbers from 0 on and a score")

    def sizes(self) -> dict[str, int]:
        """``dimensions``."""
        return {"dimensions": self.dimensions}

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """As they are."""
        return {name: np.asarray(rows)}
