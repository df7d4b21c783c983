"""Calls of a model at the sizes of its free axes that a recipe asks for beside the usual ones."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench.call import CONTEXT
from edgekd.bench.call import FIRST
from edgekd.bench.call import NEXT
from edgekd.bench.call import PROMPT
from edgekd.bench.call import TEXT
from edgekd.bench.call import CallPlan
from edgekd.bench.call import InputPlan
from edgekd.bench.golden import USUAL
from edgekd.bench.golden import Golden
from edgekd.bench.golden import GoldenGroup
from edgekd.errors import find_nearest
from edgekd.interface import BATCH
from edgekd.interface import NEXT_TOKENS
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor

Sizes = Mapping[str, Sequence[int]]
"""By the name of a free axis, each size that is asked for."""


def plain_sizes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Those of free axes: without the sizes of decoders."""
    return {name: tuple(each) for name, each in sizes.items() if name not in (PROMPT, CONTEXT)}


def is_of_tokens(row: Mapping[str, Any]) -> bool:
    """Return whether a row is of a decoder's first or next token."""
    return not {PROMPT, CONTEXT}.isdisjoint(row.get("sizes", {}))


def list_decoding_axes(axes: Sequence[Axis], targets: Collection[str]) -> tuple[Axis, ...]:
    """`PROMPT` and `CONTEXT` with their limits, of data whose targets are what follows each token; none of others."""
    lengths = [axis for axis in axes if axis.name != BATCH]
    if NEXT_TOKENS not in targets or len(lengths) != 1:
        return ()
    most = lengths[0].most
    return Axis(PROMPT, most=most), Axis(CONTEXT, most=max(1, most - 1))


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
    plain = plain_sizes(sizes)
    combinations = [
        dict(zip(plain, each, strict=True)) for each in itertools.product(*plain.values())
    ]
    calls: dict[str, CallPlan] = {}
    for asked in combinations:
        whole = {**usual, **asked}
        if whole != usual:
            label = ",".join(f"{name}={size}" for name, size in asked.items())
            inputs = {end.name: _plan_input(interface, end, whole) for end in interface.inputs}
            calls[label] = CallPlan(inputs, label=label, sizes=whole)
    decoding = [
        plan_decoding(interface, name, length)
        for name in (PROMPT, CONTEXT)
        for length in sizes.get(name, ())
    ]
    return [*calls.values(), *decoding]


def plan_decoding(interface: Interface, name: str, length: int) -> CallPlan:
    """The first token behind a prompt (`PROMPT`), or the next behind a context (`CONTEXT`), of a decoder."""
    (text,) = (end for end in interface.inputs if end.kind == "index")
    longest = next(axis.most for axis in interface.axes if axis.name in text.shape[1:])
    kind, tokens = (FIRST, length) if name == PROMPT else (NEXT, length + 1)
    return CallPlan(
        {TEXT: InputPlan((None, tokens), max(text.below, 1))},
        label=f"{name}={length}",
        sizes={name: length},
        decoding={"kind": kind, "length": length, "longest": longest},
    )


def _plan_input(interface: Interface, end: Tensor, sizes: Mapping[str, int]) -> InputPlan:
    shape = (None, *interface.shape(end, 1, **sizes)[1:])
    high = max(end.below, 1) if end.kind == "index" else None
    return InputPlan(shape, high, 1.0 if end.kind == "mask" else None)
