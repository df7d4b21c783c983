"""Buckets of sizes of a free axis: which samples of a split fall into which, and how many."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import splits
from edgekd.bench.sized_calls import Sizes
from edgekd.bench.sized_calls import plain_sizes
from edgekd.dataset import Dataset
from edgekd.field import RaggedRows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Rows


def read_lengths(data: Dataset, axis: str, rows: Mapping[str, Rows]) -> NDArray[np.int64]:
    """The size [N] that each sample has along a free axis.

    Args:
        data: whose input the axis is of.
        axis: its name.
        rows: stored rows of the data's fields.

    Raises:
        ValueError: if no input has such an axis.
    """
    for name, field in data.inputs.items():
        stored = rows.get(name)
        if isinstance(stored, RaggedRows) and axis in {each.name for each in field.axes(name)}:
            return stored.lengths
    raise ValueError(f"{axis}: got no input of this free axis")


def assign_buckets(lengths: NDArray[np.int64], bounds: Sequence[int]) -> NDArray[np.int64]:
    """The number [N] of the bucket of each sample: the first whose bound is not below its size, or the last, which has
    none.

    Args:
        lengths: [N].
        bounds: of all buckets but the last, ascending.
    """
    import numpy as np

    return np.searchsorted(np.asarray(bounds, np.int64), lengths, side="left")


def share_sizes(
    rows: Sequence[Mapping[str, Any]], sizes: Sizes, data: Dataset, split: Path
) -> list[dict[str, Any]]:
    """Rows of ``rows.json`` with the share of samples that fall to their size: those that are no longer, and longer than
    the next smaller one that is timed; the largest gets the rest. Without a single axis they stay as they are.

    Args:
        rows: of engines at the usual size and, behind each, at others.
        sizes: what a recipe asks for beside the usual ones.
        data: what the samples are.
        split: those of validation.
    """
    axes = plain_sizes(sizes)
    if len(axes) != 1:
        return [dict(row) for row in rows]
    (axis,) = axes
    timed = sorted({row["sizes"][axis] for row in rows if axis in row["sizes"]})
    numbers = assign_buckets(read_lengths(data, axis, splits.read(split)), timed[:-1])
    shares = {size: float((numbers == number).mean()) for number, size in enumerate(timed)}
    return [
        {**row, "share": shares[row["sizes"][axis]]} if axis in row["sizes"] else dict(row)
        for row in rows
    ]
