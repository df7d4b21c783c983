"""Looks through arrays that may be larger than memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PIECE = 2**20
"""Numbers that are looked at together."""


def find_first(
    values: NDArray[Any], is_wrong: Callable[[NDArray[Any]], NDArray[np.bool_]]
) -> int | None:
    """Return the place of the first number that is wrong, None if none is."""
    for start in range(0, len(values), _PIECE):
        wrong = is_wrong(values[start : start + _PIECE])
        if wrong.any():
            return start + int(wrong.argmax())
    return None
