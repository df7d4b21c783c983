"""The shape of each input of a user's model in one call: free axes get the sizes that are asked for."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from collections.abc import Sequence

from edgekd.bench import size_options
from edgekd.bench.call import CallPlan
from edgekd.bench.call import InputPlan
from edgekd.bench.size_options import UNNAMED
from edgekd.bench.size_options import Sizes
from edgekd.errors import InputError
from edgekd.value_info import Value

NOT_A_BATCH = ("seq", "len", "time", "frame", "step", "token", "point", "height", "width")
"""Parts of an axis's name that say it does not count samples, though it is the first."""
MAY_BE_EMPTY = ("past", "cache", "state", "memory")
"""Parts of the names of inputs and axes that hold what was before a call."""
IMAGE_SIZE = "imgsz"
"""Ultralytics' name, in a file's metadata, of the height and width that it was trained at."""


def plan_shapes(
    where: str,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    *,
    sizes: Sizes,
    batch: int | None = None,
    given: Mapping[str, tuple[int, ...]] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> CallPlan:
    """Plan the shapes of one call.

    A free first axis is the batch, wherever else its name stands, unless its name or `sizes` say
    otherwise.

    Args:
        where: how errors name the model.
        inputs: what it takes.
        outputs: what it gives.
        sizes: what was asked for; names of other models' axes do no harm.
        batch: the samples of a call that were asked for; None for 1, or what the model is fixed at.
        given: the shapes of what the user feeds, by input; they tell free sizes too.
        metadata: what the file says of itself; it may hold default sizes.

    Raises:
        InputError: if a free axis has no size, or 0 where it is no state, or a batch is asked of a model that has no axis for it.
    """
    bound = _Bindings(where, dict(sizes), metadata or {})
    for value in inputs:
        if value.element == 0 and value.sizes is None:
            raise InputError(
                f"{where}: input {value.name!r}: got a sequence, an optional or a map, want a tensor"
            )
        bound.take(value, (given or {}).get(value.name))
    batches = {
        value.sizes[0]
        for value in inputs
        if value.sizes and bound.size(value, 0) is None and _may_count_samples(value.sizes[0])
    }
    shapes: dict[str, tuple[int | None, ...]] = {}
    missing: list[tuple[Value, int]] = []
    for value in inputs:
        shape: list[int | None] = []
        for axis, name in enumerate(bound.axes(value)):
            size = bound.size(value, axis)
            is_batch = name in batches and (axis == 0 or name not in UNNAMED | {None})
            if size is None and not is_batch:
                missing.append((value, axis))
            shape.append(size)
        shapes[value.name] = tuple(shape)
    if missing or bound.ranks:
        raise size_options.missing_size_message(where, missing, bound.ranks)
    for value in inputs:
        _require_elements(where, value, shapes[value.name])
    asked = ",".join(f"{name}={'x'.join(map(str, size))}" for name, size in bound.used.items())
    made = CallPlan({name: InputPlan(shape) for name, shape in shapes.items()}, batch or 1, asked)
    if any(None in shape for shape in shapes.values()):
        return made
    return _fixed(where, made, outputs, batch)


class _Bindings:
    """Sizes by the names of axes."""

    def __init__(self, where: str, sizes: dict[str, tuple[int, ...]], metadata: Mapping[str, str]):
        self._where, self._sizes, self._metadata = where, sizes, metadata
        self._by_name = {name: size[0] for name, size in sizes.items() if len(size) == 1}
        self._shapes: dict[str, tuple[int | None, ...]] = {}
        self.used: dict[str, tuple[int, ...]] = {}
        """The sizes that this model heeded."""
        self.ranks: list[Value] = []
        """Inputs of which not even the rank is known."""

    def take(self, value: Value, given: tuple[int, ...] | None) -> None:
        """Learn sizes from what is asked for `value` and from the shape of what it is fed."""
        whole = self._sizes.get(value.name)
        if whole is not None and len(whole) == len(value.sizes or whole):
            self._require_fixed(value, whole)
            self.used[value.name] = whole
            self._learn(value, whole)
        elif value.sizes is None and given is not None:
            self._shapes[value.name] = given
        elif value.sizes is None:
            self.ranks.append(value)
        elif given is not None and len(given) == len(value.sizes) + 1:
            self._learn(value, given[1:])
        elif given is not None and len(given) == len(value.sizes) > 0:
            counts = _may_count_samples(value.sizes[0]) and not self._asked(value, 0)
            self._learn(value, (None if counts else given[0], *given[1:]))

    def _require_fixed(self, value: Value, asked: tuple[int, ...]) -> None:
        """Raises InputError if a size that is fixed was asked to be another."""
        for axis, (name, size) in enumerate(zip(value.sizes or (), asked, strict=False)):
            if isinstance(name, int) and name != size:
                raise InputError(
                    f"{self._where}: got {size} for axis {axis} of {value.name!r}, want {name}: it is "
                    "fixed"
                )

    def axes(self, value: Value) -> tuple[int | str | None, ...]:
        """Sizes and names of the axes, as far as the graph or the user tell their number."""
        return value.sizes if value.sizes is not None else self._shapes.get(value.name, ())

    def size(self, value: Value, axis: int) -> int | None:
        """The size of one axis, or None while it is free."""
        name = self.axes(value)[axis]
        asked = self._asked(value, axis)
        if isinstance(name, int):
            return name
        if asked is not None:
            return asked
        learned = self._shapes.get(value.name)
        if learned is not None and learned[axis] is not None:
            return learned[axis]
        if name is not None and "+" in name:
            parts = [self._by_name.get(part) for part in map(str.strip, name.split("+"))]
            return None if None in parts else sum(part for part in parts if part is not None)
        if name is not None and name in self._by_name:
            return self._by_name[name]
        return self._default(value, axis)

    def _asked(self, value: Value, axis: int) -> int | None:
        """Return what ``--size`` says of it."""
        name = self.axes(value)[axis]
        for key in (f"{value.name}.{axis}", name):
            size = self._sizes.get(str(key)) if key is not None else None
            if size is not None and len(size) == 1 and not isinstance(name, int):
                self.used[str(key)] = size
                return size[0]
        return None

    def _learn(self, value: Value, shape: Sequence[int | None]) -> None:
        self._shapes[value.name] = tuple(shape)
        for name, size in zip(value.sizes or (), shape, strict=False):
            if not isinstance(name, str) or name in UNNAMED or size is None:
                continue
            if self._by_name.setdefault(name, size) != size:
                raise InputError(
                    f"{self._where}: got {size} for axis {name!r} of {value.name!r}, "
                    f"want {self._by_name[name]} as elsewhere"
                )

    def _default(self, value: Value, axis: int) -> int | None:
        """A size that the file's own metadata states."""
        name, rank = self.axes(value)[axis], len(self.axes(value))
        told = self._metadata.get(str(name)) or self._metadata.get(f"{value.name}.{axis}")
        if told is not None and told.isascii() and told.isdigit() and axis > 0:
            return int(told[:9])
        pair = re.fullmatch(r"\[?(\d{1,6}), ?(\d{1,6})\]?", self._metadata.get(IMAGE_SIZE, ""))
        return int(pair[axis - rank + 3]) if pair and rank == 4 and axis >= 2 else None


def _require_elements(where: str, value: Value, shape: Sequence[int | None]) -> None:
    """Raises InputError if a free axis is empty that is no state's: engines crash there (OpenVINO 2026.4 by SIGFPE)."""
    for axis, (name, size) in enumerate(zip(value.sizes or shape, shape, strict=True)):
        words = f"{value.name} {name}".lower()
        if size == 0 and name != 0 and not any(part in words for part in MAY_BE_EMPTY):
            raise InputError(
                f"{where}: got 0 for axis {axis} of {value.name!r}, want at least 1: only states may be empty"
            )


def _fixed(where: str, made: CallPlan, outputs: Sequence[Value], batch: int | None) -> CallPlan:
    """A plan whose sizes leave no axis for the batch."""
    shapes = {name: one.shape for name, one in made.inputs.items()}
    firsts: list[int | str | None] = [shape[0] for shape in shapes.values() if shape]
    firsts += [value.sizes[0] for value in outputs if value.sizes]
    shown = ", ".join(
        f"{name} {list(shape)}" for name, shape in itertools.islice(shapes.items(), 4)
    )
    if batch not in (None, 1) and (not firsts or any(first != batch for first in firsts)):
        raise InputError(
            f"{where}: got batch {batch}, want none: its sizes are fixed: {shown}",
            hint="without --batch it is measured at its own size",
        )
    if batch is not None or made.label or all(shape[:1] in ((), (1,)) for shape in shapes.values()):
        return made
    note = f"its sizes are fixed: {shown}; a call counts as one sample"
    return made._replace(note=note)


def _may_count_samples(name: int | str | None) -> bool:
    if isinstance(name, int):
        return False
    return name is None or not any(part in name.lower() for part in NOT_A_BATCH)
