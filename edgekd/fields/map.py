"""A class of every pixel."""

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
from edgekd.field import require_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

MOST_SIDE, MOST_PIXELS = 2**15, 2**28
IGNORED = 255
_CHUNK = 256
COLOURS = np.array(
    [[0, 0, 0], [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178]]
    + [[213, 94, 0], [204, 121, 167], [148, 103, 189], [140, 86, 75], [188, 189, 34]],
    np.uint8,
)
"""Of classes in pictures: Okabe and Ito 2008, and three more."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Map(Field):
    """uint8 or int64 [N, H, W], numbers of classes; `ignored` where none is known."""

    kind: ClassVar[str] = "map"
    height: int
    width: int
    names: tuple[str, ...]
    """Of the classes, in the order of their numbers."""
    ignored: int = IGNORED
    """Stands for no class: what a model says there counts for nothing."""

    def __post_init__(self) -> None:
        require_names(self.names)
        for name in ("height", "width"):
            require_whole(name, getattr(self, name), 1, MOST_SIDE)
        require(self.height * self.width <= MOST_PIXELS, f"{self.height * self.width} pixels a map")
        require_whole("ignored", self.ignored, -(2**31), 2**31 - 1)
        known = 0 <= self.ignored < len(self.names)
        require(not known, f"ignored {self.ignored}, which is a class, want another number")

    @classmethod
    def describe(cls, rows: Rows, order: NDArray[np.int64], **said: Any) -> Self:
        """Its size is that of the rows."""
        require(isinstance(rows, np.ndarray) and rows.ndim == 3, form_text(rows))
        height, width = np.asarray(rows).shape[1:]
        return cls(height=height, width=width, **said)

    def check(self, rows: Rows, where: str) -> None:
        """Refuse other sizes, and other numbers than those of the classes and `ignored`."""
        size = (self.height, self.width)
        want = f"uint8 or int64 [N, {self.height}, {self.width}]"
        if not isinstance(rows, np.ndarray) or rows.dtype not in (np.uint8, np.int64):
            raise InputError(f"{where}: got {form_text(rows)}, want {want}")
        if rows.shape[1:] != size or not len(rows):
            raise InputError(f"{where}: got {form_text(rows)}, want {want}")
        for start in range(0, len(rows), _CHUNK):
            part = np.asarray(rows[start : start + _CHUNK])
            wrong = ((part < 0) | (part >= len(self.names))) & (part != self.ignored)
            if wrong.any():
                number, row, column = (int(at[0]) for at in np.nonzero(wrong))
                raise InputError(
                    f"{where}: got class {part[number, row, column]} in map {start + number} at row {row}, column "
                    f"{column}, want 0 to {len(self.names) - 1}, or {self.ignored} for none"
                )

    def sizes(self) -> dict[str, int]:
        """``classes``, ``height``, ``width``."""
        return {"classes": len(self.names), "height": self.height, "width": self.width}

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """int64 [N, H, W]."""
        return {name: np.asarray(rows, np.int64)}

    def preview(self, rows: Rows) -> NDArray[Any]:
        """A colour a class, the first black; what has none is white."""
        numbers = np.asarray(rows, np.int64)[0]
        shown = COLOURS[np.where(numbers == 0, 0, 1 + (numbers - 1) % (len(COLOURS) - 1))]
        shown[numbers == self.ignored] = 255
        return shown

    def image_size(self) -> tuple[int, int]:
        """Its own."""
        return self.height, self.width
