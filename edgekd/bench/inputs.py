"""What a timed model is fed: distinct inputs, rotated, so that nothing can be remembered."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.runtime import Tensor

if TYPE_CHECKING:
    import numpy as np

COUNT = 64
"""Distinct inputs."""
MOST_BYTES = 256 * 2**20
"""Large inputs are fewer, so that they do not become the memory that is measured."""
LARGEST_BYTES = 2**30
"""One batch of inputs; a model that says it wants more is not believed."""


def seeded(
    wanted: Sequence[Tensor], *, batch: int, seed: int, count: int = COUNT
) -> list[dict[str, np.ndarray]]:
    """`count` feeds: floats from the standard normal law, whole numbers 0 or 1.

    Raises:
        ValueError: if a size other than the first is free, the first is fixed and not `batch`, or
            one batch is beyond reason.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    shapes = {tensor.name: shape_of(tensor, batch) for tensor in wanted}
    size_bytes = sum(
        np.dtype(tensor.dtype).itemsize * math.prod(shapes[tensor.name]) for tensor in wanted
    )
    if size_bytes > LARGEST_BYTES:
        raise ValueError(f"inputs: got a model that wants {size_bytes} bytes of them at once")
    count = max(2, min(count, MOST_BYTES // max(1, size_bytes)))
    return [
        {tensor.name: _draw(random, tensor, shapes[tensor.name]) for tensor in wanted}
        for _ in range(count)
    ]


def _draw(random: np.random.Generator, tensor: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    import numpy as np

    if np.dtype(tensor.dtype).kind == "f":
        return np.asarray(random.standard_normal(shape), dtype=tensor.dtype)
    return np.asarray(random.integers(0, 2, shape), dtype=tensor.dtype)


def shape_of(tensor: Tensor, batch: int) -> tuple[int, ...]:
    """The shape of one batch.

    Raises:
        ValueError: if a size other than the first is free, or the first is fixed and not `batch`.
    """
    first, rest = tensor.shape[:1], tensor.shape[1:]
    if None in rest:
        raise ValueError(
            f"input {tensor.name!r}: got shape {tensor.shape}, want only the batch free"
        )
    if first not in ((), (None,), (batch,)):
        raise ValueError(f"input {tensor.name!r}: got batch {first[0]} in the model, want {batch}")
    return tuple(batch if i == 0 else size or 0 for i, size in enumerate(tensor.shape))


def given(
    path: Path, wanted: Sequence[Tensor], *, batch: int, count: int = COUNT
) -> list[Mapping[str, np.ndarray]]:
    """Feeds from the rows of an .npy file, for a model of one input.

    Raises:
        ValueError: if the model has several inputs or the rows are of another shape or type.
    """
    import numpy as np

    rows = np.load(path, allow_pickle=False, mmap_mode="r")
    check_rows(rows, wanted)
    size_bytes = max(1, rows[:1].nbytes * batch)
    distinct = max(min(2, len(rows)), min(count, len(rows), MOST_BYTES // size_bytes))
    return [
        {
            wanted[0].name: np.ascontiguousarray(
                rows[[(index * batch + row) % len(rows) for row in range(batch)]]
            )
        }
        for index in range(distinct)
    ]


def check_rows(rows: np.ndarray, wanted: Sequence[Tensor]) -> None:
    """Nothing, if `rows` fit the one input of a model.

    Raises:
        ValueError: if they do not.
    """
    if len(wanted) != 1:
        raise ValueError(f"model: got {len(wanted)} inputs, want one")
    (tensor,) = wanted
    fits = len(tensor.shape) == rows.ndim and all(
        size in (None, have) for size, have in zip(tensor.shape[1:], rows.shape[1:], strict=True)
    )
    if not fits or rows.dtype != tensor.dtype or not len(rows):
        raise ValueError(
            f"inputs: got {rows.dtype} {list(rows.shape)}, "
            f"want {tensor.dtype} {['N' if s is None else s for s in tensor.shape]}"
        )


def about(feeds: Sequence[Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Their digest, and whether they hold numbers so small that a processor slows down on them."""
    import numpy as np

    digest, subnormal = hashlib.sha256(), False
    for feed in feeds:
        for name, values in sorted(feed.items()):
            digest.update(f"{name} {values.dtype} {values.shape} ".encode())
            digest.update(values.data)
            if values.dtype.kind == "f":
                small = np.abs(values) < np.finfo(values.dtype).tiny
                subnormal |= bool((small & (values != 0)).any())
    return {"inputs_sha256": digest.hexdigest(), "subnormal": subnormal}
