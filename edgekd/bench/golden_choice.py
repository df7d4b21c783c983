"""Which samples become golden ones: different ones, and of every stratum as many as can be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekd.field import RaggedRows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Rows

POOL = 16
"""Samples from which each golden one is taken, so that every class is among them."""


def find_distinct(
    inputs: Sequence[Rows], count: int, seed: int, among: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Indices [<= count] of samples whose rows are pairwise different, in a random order set by `seed`; of those in
    `among`, if it is given."""
    import numpy as np

    seen: set[bytes] = set()
    found = []
    order = np.random.default_rng(seed).permutation(len(inputs[0]))
    for index in order if among is None else order[np.isin(order, among)]:
        content = b"".join(_row_bytes(rows, int(index)) for rows in inputs)
        if content not in seen:
            seen.add(content)
            found.append(int(index))
        if len(found) == count:
            break
    return np.asarray(found, np.int64)


def _row_bytes(rows: Rows, index: int) -> bytes:
    row = rows.row(index) if isinstance(rows, RaggedRows) else rows[index]
    return len(row).to_bytes(8, "little") + row.tobytes() if row.ndim else row.tobytes()


def pick_evenly(classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Positions [<= count] in `classes` [N], taken from each class in turn, ascending."""
    import numpy as np

    turn = np.zeros(len(classes), np.int64)
    for name in np.unique(classes):
        members = classes == name
        turn[members] = np.arange(members.sum())
    return np.sort(np.lexsort((classes, turn))[:count])
