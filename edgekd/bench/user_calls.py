"""How a user's model is called: one plan and one file of inputs for each combination of sizes."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import graph
from edgekd.bench import input_shapes
from edgekd.bench import user_inputs
from edgekd.bench.call import CONTEXT
from edgekd.bench.call import PROMPT
from edgekd.bench.call import CallPlan
from edgekd.bench.interface import FileInterface
from edgekd.bench.size_options import Sizes
from edgekd.bench.sized_calls import find_fault
from edgekd.bench.sized_calls import list_decoding_axes
from edgekd.bench.sized_calls import plan_decoding
from edgekd.bench.user_inputs import UserInputs
from edgekd.errors import InputError
from edgekd.interface import BATCH
from edgekd.interface import NEXT_TOKENS
from edgekd.interface import Interface
from edgekd.value_info import Value

WHOLE = {
    graph.NUMBERS[name] for name in ("u8", "i8", "u16", "i16", "i32", "i64", "u32", "u64", "bool")
}
"""Element types of masks."""


class ModelCall(NamedTuple):
    """One way to call a model."""

    plan: CallPlan
    inputs: Path | None
    """What it is fed: .npy, .npz, or None if all is drawn."""


def plan_calls(
    where: str,
    interface: FileInterface | None,
    *,
    sizes: Sequence[Sizes],
    batch: int | None,
    user: UserInputs,
    rows: Path | None,
    goal: Path,
    golden: Path | None = None,
    bundled: Interface | None = None,
) -> Iterator[ModelCall]:
    """Plan one call for each combination of sizes; two equal ones count once.

    Args:
        where: how errors name the model.
        interface: what is known of it; None of an engine that tells nothing.
        sizes: of free axes.
        batch: as `edgekd.bench.user_models.MeasureRequest` has it.
        user: inputs by name.
        rows: a file with inputs that were given without a name.
        goal: an .npz to write, if several inputs are given.
        golden: a bundle's own inputs, for calls whose sizes nobody asks for and where no `rows` are given.
        bundled: what a bundle says of it.

    Raises:
        InputError: if a size is missing or none that it takes, or a name is none of its inputs.
    """
    if interface is None:
        yield ModelCall(CallPlan({}, batch or 1), rows or golden)
        return
    names = [value.name for value in interface.inputs]
    values = {value.name: 1.0 for value in interface.inputs if _is_mask(value)} | dict(user.values)
    done: list[CallPlan] = []
    for one in sizes:
        chosen = rows or (None if one else golden)
        fed = user_inputs.gather_inputs(user, chosen, names, where, goal)
        plan = input_shapes.plan_shapes(
            where,
            interface.inputs,
            interface.outputs,
            sizes=one,
            batch=batch,
            given=fed.shapes,
            metadata=interface.metadata,
        )
        if bundled is not None:
            _require_sizes(where, plan, bundled)
        filled = {
            name: entry._replace(high=interface.limits.get(name), value=values.get(name))
            for name, entry in plan.inputs.items()
        }
        plan = plan._replace(inputs=filled)
        if plan not in done:
            done.append(plan)
            yield ModelCall(plan, fed.file)


def plan_token_calls(decoder: Interface | None, sizes: Sequence[Sizes]) -> Iterator[ModelCall]:
    """Plan the first token behind each prompt and the next behind each context that is asked for; none of other models.

    Raises:
        InputError: if a text would be longer than the decoder takes.
    """
    if decoder is None:
        return
    axes = list_decoding_axes(decoder.axes, {NEXT_TOKENS})
    for one in sizes:
        for name, (length, *_) in one.items():
            if name not in (PROMPT, CONTEXT):
                continue
            if fault := find_fault({name: (length,)}, axes):
                raise InputError(f"--size {name}: {fault[1]}")
            yield ModelCall(plan_decoding(decoder, name, length), None)


def _require_sizes(where: str, plan: CallPlan, bundled: Interface) -> None:
    for end in bundled.inputs:
        shape = plan.inputs[end.name].shape if end.name in plan.inputs else ()
        for at, axis in bundled.free_axes(end).items():
            size = shape[at] if at < len(shape) and axis != BATCH else None
            if size is not None and (fault := find_fault({axis: (size,)}, bundled.axes)):
                raise InputError(f"{where}: {axis} of {end.name!r}: {fault[1]}")


def _is_mask(value: Value) -> bool:
    """Return whether an input says which others count: whole numbers or yes and no, called so. It is fed ones."""
    return value.element in WHOLE and "mask" in value.name.lower()
