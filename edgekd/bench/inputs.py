"""What a timed model is fed: distinct inputs, rotated, so that nothing can be remembered."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench.call import InputPlan
from edgekd.bench.input_rows import is_whole_call
from edgekd.bench.input_rows import require_fitting_rows
from edgekd.runtime import EngineInput

if TYPE_CHECKING:
    import numpy as np


COUNT = 64
"""Distinct inputs."""
MOST_BYTES = 256 * 2**20
"""Large inputs are fewer, so that they do not become the memory that is measured."""
LARGEST_BYTES = 2**30
"""One batch of inputs; a model that says it wants more is not believed."""
WORDS = ("edge", "small", "teacher", "a", "student model")
"""What strings are drawn from."""
Plans = Mapping[str, InputPlan]
Feed = Mapping[str, "np.ndarray"]


def draw_feeds(
    wanted: Sequence[EngineInput],
    *,
    batch: int,
    seed: int,
    count: int = COUNT,
    plans: Plans | None = None,
) -> list[dict[str, np.ndarray]]:
    """`count` feeds: floats from the standard normal law; whole numbers below what the plan says, any
    of 8 bits, else 0 or 1; words.

    Args:
        wanted: the inputs.
        batch: samples a call.
        seed: of the generator.
        count: distinct feeds, fewer if they are large.
        plans: by input how it is shaped and filled; one that is not in it may have its first axis free.

    Raises:
        ValueError: if an input without a plan has another free size than the first, or its first is
            fixed and not `batch`; or one batch is beyond reason.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    plans = {} if plans is None else plans
    shapes = {tensor.name: shape_of(tensor, batch, plans.get(tensor.name)) for tensor in wanted}
    size_bytes = sum(
        np.dtype(tensor.dtype).itemsize * math.prod(shapes[tensor.name]) for tensor in wanted
    )
    if size_bytes > LARGEST_BYTES:
        raise ValueError(f"inputs: got a model that wants {size_bytes} bytes of them at once")
    count = max(2, min(count, MOST_BYTES // max(1, size_bytes)))
    return [
        {
            tensor.name: _draw(random, tensor, shapes[tensor.name], plans.get(tensor.name))
            for tensor in wanted
        }
        for _ in range(count)
    ]


def _draw(
    random: np.random.Generator, tensor: EngineInput, shape: tuple[int, ...], plan: InputPlan | None
) -> np.ndarray:
    import numpy as np

    dtype = np.dtype(tensor.dtype)
    if plan is not None and plan.value is not None:
        return np.full(shape, _in_type(plan.value, tensor), dtype=dtype)
    if dtype.kind == "O":
        return np.asarray(random.choice(WORDS, shape), dtype=object)
    if dtype.kind in "fc":
        return np.asarray(random.standard_normal(shape), dtype=dtype)
    low, high = 0, 2
    if dtype.kind in "iu" and dtype.itemsize == 1:
        low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max) + 1
    if plan is not None and plan.high is not None and dtype.kind in "iu":
        low, high = 0, min(plan.high, int(np.iinfo(dtype).max))
    return np.asarray(random.integers(low, high, shape), dtype=dtype)


def _in_type(value: float, tensor: EngineInput) -> Any:
    """A user's number as an element of the input.

    Raises:
        ValueError: if the type does not hold it.
    """
    import numpy as np

    dtype = np.dtype(tensor.dtype)
    if dtype.kind == "O":
        return f"{value:g}"
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if value != int(value) or not limits.min <= value <= limits.max:
            raise ValueError(f"input {tensor.name!r}: got {value:g}, want an {dtype}")
        return int(value)
    return value


def shape_of(tensor: EngineInput, batch: int, plan: InputPlan | None = None) -> tuple[int, ...]:
    """The shape of one batch.

    Raises:
        ValueError: without a plan, if a size other than the first is free, or the first is fixed and
            not `batch`.
    """
    if plan is not None:
        return tuple(batch if size is None else size for size in plan.shape)
    first, rest = tensor.shape[:1], tensor.shape[1:]
    if None in rest:
        raise ValueError(
            f"input {tensor.name!r}: got shape {tensor.shape}, want only the batch free"
        )
    if first not in ((), (None,), (batch,)):
        raise ValueError(f"input {tensor.name!r}: got batch {first[0]} in the model, want {batch}")
    return tuple(batch if i == 0 else size or 0 for i, size in enumerate(tensor.shape))


def read_feeds(
    path: Path,
    wanted: Sequence[EngineInput],
    *,
    batch: int,
    seed: int = 0,
    count: int = COUNT,
    plans: Plans | None = None,
) -> list[dict[str, np.ndarray]]:
    """Read feeds from a file: the rows of an .npy for the only input, or an .npz or split by names of inputs.

    An array of just an input's shape is fed every time; one that is longer or shorter along the first
    axis is taken that many rows at a time; one of one axis more is fed slice by slice. Inputs that are
    not in the file are drawn.

    Raises:
        ValueError: if the model has several inputs and the file rows of one, or they are of another
            shape or type.
    """
    import numpy as np

    plans = {} if plans is None else plans
    loaded = _open_arrays(path)
    arrays = {}
    if isinstance(loaded, np.ndarray):
        only = _only(wanted, plans)
        arrays[only.name] = loaded
        if not plans:
            require_fitting_rows(loaded, only)
            first = () if is_whole_call(loaded, only) else (batch,)
            plans = {only.name: InputPlan((*first, *loaded.shape[1:]))}
    else:
        arrays = {tensor.name: loaded[tensor.name] for tensor in wanted if tensor.name in loaded}
        held = [tensor for tensor in wanted if tensor.name in arrays]
        if not plans and all(is_whole_call(arrays[each.name], each) for each in held):
            plans = {each.name: InputPlan(arrays[each.name].shape[1:]) for each in held}
    rest = [tensor for tensor in wanted if tensor.name not in arrays]
    drawn = draw_feeds(rest, batch=batch, seed=seed, count=count, plans=plans)
    slices = [
        _Slices(arrays[tensor.name], tensor, batch, plans.get(tensor.name))
        for tensor in wanted
        if tensor.name in arrays
    ]
    size_bytes = max(1, sum(one.size_bytes for one in slices))
    most = max([len(drawn) if rest else 1, *(one.count for one in slices)])
    distinct = max(min(2, most), min(count, most, MOST_BYTES // size_bytes))
    return [
        {**(drawn[index % len(drawn)]), **{one.name: one.at(index) for one in slices}}
        for index in range(distinct)
    ]


def _open_arrays(path: Path) -> Any:
    """The array of an .npy file or of a split that has one field; of others arrays by name."""
    import numpy as np

    from edgekd import splits  # few feeds are one

    with path.open("rb") as file:
        start = file.read(4)
    if start in (b"\x93NUM", b"PK\x03\x04"):
        return np.load(path, allow_pickle=False, mmap_mode="r")
    rows = splits.read(path)
    return next(iter(rows.values())) if len(rows) == 1 else rows


def _only(wanted: Sequence[EngineInput], plans: Plans) -> EngineInput:
    """The one input that rows can be for: those with a number of the user's are supplied."""
    free = [t for t in wanted if t.name not in plans or plans[t.name].value is None]
    if len(free) != 1:
        raise ValueError(f"model: got {len(free)} inputs, want one")
    return free[0]


class _Slices:
    """One input's feeds out of an array."""

    def __init__(self, array: np.ndarray, tensor: EngineInput, batch: int, plan: InputPlan | None):
        import numpy as np

        self.name = tensor.name
        self._array, self._dtype = array, np.dtype(tensor.dtype)
        shape = shape_of(tensor, batch, plan)
        self._whole = array.shape == shape
        self._rows = array.ndim == len(shape) > 0 and array.shape[1:] == shape[1:]
        self._size = shape[0] if shape else 1
        stacked = array.shape[1:] == shape and array.ndim == len(shape) + 1
        same_type = array.dtype == self._dtype or (
            self._dtype.kind == "O" and array.dtype.kind == "U"
        )
        if not (self._rows or self._whole or stacked) or not same_type:
            raise ValueError(
                f"input {self.name!r}: got {array.dtype} {list(array.shape)}, "
                f"want {tensor.dtype} {list(shape)}"
            )
        if not self._whole and not len(array):
            raise ValueError(f"input {self.name!r}: got no rows, want one or more")
        self.count = 2 if self._whole else len(array)  # two of equal content, in two places
        self.size_bytes = math.prod(shape) * array.dtype.itemsize

    def at(self, index: int) -> np.ndarray:
        """The feed of the index-th call."""
        import numpy as np

        if self._whole:
            part = self._array
        elif self._rows:
            first = index * self._size
            part = self._array[[(first + row) % self.count for row in range(self._size)]]
        else:
            part = self._array[index % self.count]
        # a copy of its own: a file is mapped read-only, and some engines want to own theirs
        return np.array(part, dtype=self._dtype, order="C")


def describe_feeds(feeds: Sequence[Feed]) -> dict[str, Any]:
    """The digest of the feeds, and whether they hold subnormal numbers, on which a processor slows down."""
    import numpy as np

    digest, subnormal = hashlib.sha256(), False
    for feed in feeds:
        for name, values in sorted(feed.items()):
            digest.update(f"{name} {values.dtype} {values.shape} ".encode())
            digest.update(
                "\0".join(values.flat).encode() if values.dtype.kind == "O" else values.tobytes()
            )
            if values.dtype.kind == "f":
                small = np.abs(values) < np.finfo(values.dtype).tiny
                subnormal |= bool((small & (values != 0)).any())
    return {"inputs_sha256": digest.hexdigest(), "subnormal": subnormal}
