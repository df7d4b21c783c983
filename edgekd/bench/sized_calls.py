"""Calls of a model at the sizes of its free axes that a recipe asks for beside the usual ones."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from collections.abc import Sequence

from edgekd.bench.call import CallPlan
from edgekd.bench.call import InputPlan
from edgekd.bench.golden import USUAL
from edgekd.bench.golden import Golden
from edgekd.bench.golden import GoldenGroup
from edgekd.errors import find_nearest
from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor

Sizes = Mapping[str, Sequence[int]]
"""By the name of a free axis, each size that is asked for."""


def find_fault(sizes: Sizes, axes: Sequence[Axis]) -> tuple[tuple[str | int, ...], str] | None:
    """The first size that no sample can have: its key below `sizes`, and a sentence; None if there is none.

    Args:
        sizes: what is asked for.
        axes: the free ones that the samples have.
    """
    known = {axis.name: axis for axis in axes if axis.name != BATCH}
    for name, listed in sizes.items():
        if name not in known:
            if not known:
                return (name,), "got a size, want none: no input of this data has a free one"
            hint = find_nearest(name, known)
            return (name,), f"got {name!r}, want a free axis of the data; {hint}"
        for number, size in enumerate(listed):
            least, most = known[name].least, known[name].most
            if not least <= size <= most:
                return (name, number), f"got {size}, want {least} to {most}, the longest sample"
    return None


def usual_sizes(interface: Interface, groups: Golden) -> dict[str, int]:
    """The sizes of the free axes, without the batch, in the usual golden inputs; empty where none is free."""
    return group_sizes(interface, groups[USUAL])


def group_sizes(interface: Interface, group: GoldenGroup) -> dict[str, int]:
    """The same in the inputs of any group."""
    inputs = group.inputs
    return {
        axis: inputs[end.name].shape[at]
        for end in interface.inputs
        if end.name in inputs
        for at, axis in interface.free_axes(end).items()
        if axis != BATCH
    }


def plan_sized_calls(
    sizes: Sizes, interface: Interface, usual: Mapping[str, int]
) -> list[CallPlan]:
    """Plan a call for every combination of sizes but the usual one; masks are filled with ones.

    Args:
        sizes: what is asked for.
        interface: what the model takes.
        usual: sizes of the axes that are not asked for.
    """
    combinations = [
        dict(zip(sizes, each, strict=True)) for each in itertools.product(*sizes.values())
    ]
    calls: dict[str, CallPlan] = {}
    for asked in combinations:
        whole = {**usual, **asked}
        if whole != usual:
            label = ",".join(f"{name}={size}" for name, size in asked.items())
            inputs = {end.name: _plan_input(interface, end, whole) for end in interface.inputs}
            calls[label] = CallPlan(inputs, label=label, sizes=whole)
    return list(calls.values())


def _plan_input(interface: Interface, end: Tensor, sizes: Mapping[str, int]) -> InputPlan:
    shape = (None, *interface.shape(end, 1, **sizes)[1:])
    high = max(end.below, 1) if end.kind == "index" else None
    return InputPlan(shape, high, 1.0 if end.kind == "mask" else None)
