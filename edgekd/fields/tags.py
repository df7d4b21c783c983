"""A class of every token, such as the part that it has in an entity."""

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
from edgekd.field import require
from edgekd.field import require_names
from edgekd.field import require_whole
from edgekd.scan import find_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

IGNORED = -100
"""What the field's libraries write for a token without a class."""
WANT = "ragged int32 or int64 [N, *]"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tags(Field):
    """Ragged int64 [*], numbers of classes, one a token; `ignored` where none is known: special tokens, and all pieces
    of a word but its first."""

    kind: ClassVar[str] = "tags"
    names: tuple[str, ...]
    """Of the classes, in the order of their numbers: ``O``, ``B-PER``, ``I-PER``."""
    ignored: int = IGNORED
    """Stands for no class: what a model says there counts for nothing."""

    def __post_init__(self) -> None:
        require_names(self.names)
        require_whole("ignored", self.ignored, -(2**31), 2**31 - 1)
        known = 0 <= self.ignored < len(self.names)
        require(not known, f"ignored {self.ignored}, which is a class, want another number")

    def check(self, rows: Rows, where: str) -> None:
        """Refuse other numbers than those of the classes and `ignored`."""
        check_places(rows, where, len(self.names), self.ignored, "class")

    def sizes(self) -> dict[str, int]:
        """``classes``."""
        return {"classes": len(self.names)}

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """int64 [N, L], filled up with `ignored` to the longest of these rows."""
        return {name: pad_places(rows, self.ignored)}


def check_places(rows: Rows, where: str, below: int, ignored: int, what: str) -> None:
    """Refuse rows that are not a number below `below`, or `ignored`, for every token.

    Args:
        rows: of one split.
        where: how to call them in a message.
        below: the first number that stands for nothing.
        ignored: stands for no class.
        what: how to call one number in a message.

    Raises:
        InputError: naming the first that is wrong.
    """
    types = (np.int32, np.int64)
    if not isinstance(rows, RaggedRows) or rows.values.dtype not in types or not len(rows):
        raise InputError(f"{where}: got {form_text(rows)}, want {WANT}")
    if rows.values.ndim != 1:
        raise InputError(f"{where}: got {list(rows.values.shape)}, want one axis")
    values = np.asarray(rows.values)
    at = find_first(values, lambda some: ((some < 0) | (some >= below)) & (some != ignored))
    if at is not None:
        number = int(np.searchsorted(rows.offsets, at, side="right")) - 1
        raise InputError(
            f"{where}: got {what} {values[at]} in sample {number}, want 0 to {below - 1}, or {ignored} for none"
        )


def pad_places(rows: Rows, ignored: int) -> NDArray[np.int64]:
    """Ragged rows as int64 [N, L], filled up to the longest.

    Raises:
        ValueError: if they are not ragged.
    """
    if not isinstance(rows, RaggedRows):
        raise ValueError(f"got {form_text(rows)}, want {WANT}")
    most = max(1, int(rows.lengths.max(initial=0)))
    there = np.arange(most) < rows.lengths[:, None]
    found = np.full(there.shape, ignored, np.int64)
    found[there] = rows.values
    return found
