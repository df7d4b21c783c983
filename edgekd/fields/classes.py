"""Any number of classes a sample: of each, whether it is there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import form_text
from edgekd.field import require_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classes(Field):
    """uint8 [N, C] of 0 and 1."""

    kind: ClassVar[str] = "classes"
    names: tuple[str, ...]
    """Of the classes, in the order of the columns."""

    def __post_init__(self) -> None:
        require_names(self.names, 1)

    def check(self, rows: Rows, where: str) -> None:
        """Refuse other widths, and other numbers than 0 and 1."""
        want = f"uint8 [N, {len(self.names)}] of 0 and 1"
        if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or not len(rows):
            raise InputError(f"{where}: got {form_text(rows)}, want {want}")
        if rows.shape[1:] != (len(self.names),):
            raise InputError(f"{where}: got {form_text(rows)}, want {want}")
        if (most := int(rows.max())) > 1:
            raise InputError(f"{where}: got {most} in {form_text(rows)}, want {want}")

    def sizes(self) -> dict[str, int]:
        """``classes``."""
        return {"classes": len(self.names)}

    def preview(self, rows: Rows) -> str:
        """Names of the classes that are there."""
        there = np.flatnonzero(np.asarray(rows)[0])
        return ", ".join(self.names[number] for number in there) or "none"

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """The numbers as they are."""
        return {name: np.asarray(rows)}

    def mix(
        self, name: str, rows: Rows, others: Rows, share: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """Probabilities float32 [N, C]: `share` [N, 1] of `rows` and the rest of `others`."""
        part = share.reshape(-1, 1).astype(np.float32)
        return {name: np.asarray(rows) * part + np.asarray(others) * (1 - part)}
