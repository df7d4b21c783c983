"""Boxes around objects, any number a sample, each with its class."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import RaggedRows
from edgekd.field import form_text
from edgekd.field import require_names
from edgekd.field import require_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

MOST_SIDE = 2**15
COLUMNS = 5
"""Of one box: class, x1, y1, x2, y2."""
NO_CLASS = -1
"""The class of what fills up a sample that has fewer boxes than others."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Boxes(Field):
    """Ragged float32 [*, 5]: class, x1, y1, x2, y2 in pixels, x to the right and y down from the upper left corner."""

    kind: ClassVar[str] = "boxes"
    names: tuple[str, ...]
    """Of the classes, in the order of their numbers."""
    height: int
    """Of the image in which they lie."""
    width: int

    def __post_init__(self) -> None:
        require_names(self.names, 1)
        require_whole("height", self.height, 1, MOST_SIDE)
        require_whole("width", self.width, 1, MOST_SIDE)

    def check(self, rows: Rows, where: str) -> None:
        """Refuse boxes of no class, without area, or that leave the image; a sample may have none."""
        if not isinstance(rows, RaggedRows) or rows.values.dtype != np.float32 or not len(rows):
            raise InputError(
                f"{where}: got {form_text(rows)}, want ragged float32 [N, *, {COLUMNS}]"
            )
        values = np.asarray(rows.values)
        if values.shape[1:] != (COLUMNS,):
            raise InputError(
                f"{where}: got boxes of {values.shape[1:]} numbers, want {COLUMNS}: class, x1, y1, x2, y2"
            )
        numbers, left, top, right, bottom = values.T
        classes = (numbers >= 0) & (numbers < len(self.names)) & (numbers == np.floor(numbers))
        across = (left >= 0) & (left < right) & (right <= self.width)
        down = (top >= 0) & (top < bottom) & (bottom <= self.height)
        wrong = ~(classes & across & down)  # false of what is not a number, too
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            number = int(np.searchsorted(rows.offsets, at, side="right")) - 1
            box = ", ".join(f"{value:g}" for value in values[at])
            raise InputError(
                f"{where}: got the box {box} in sample {number}, want a class 0 to {len(self.names) - 1}, "
                f"0 <= x1 < x2 <= {self.width} and 0 <= y1 < y2 <= {self.height}"
            )

    def sizes(self) -> dict[str, int]:
        """``classes``, ``height``, ``width``."""
        return {"classes": len(self.names), "height": self.height, "width": self.width}

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """float32 [N, most, 5], filled up with boxes of the class `NO_CLASS` to the most of these samples."""
        if not isinstance(rows, RaggedRows):
            raise ValueError(f"got {form_text(rows)}, want ragged float32 [N, *, {COLUMNS}]")
        most = max(1, int(rows.lengths.max(initial=0)))
        found = np.zeros((len(rows), most, COLUMNS), np.float32)
        found[:, :, 0] = NO_CLASS
        for number, row in enumerate(rows):
            found[number, : len(row)] = row
        return {name: found}

    def image_size(self) -> tuple[int, int]:
        """Its own."""
        return self.height, self.width
