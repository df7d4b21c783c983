"""What a student and its teacher give, by the names of the outputs: what losses ask for of any task."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.interface import Tensor as End
from edgekd.learn import rows
from edgekd.learn import signals as words
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.mathematics.paired_logits import PairedLogits
from edgekd.learn.mathematics.top_k import TopKLogits
from edgekd.learn.signals import SIDES

COUNTING = "counting"
"""Which places of outputs count, bool [B, ...], where a scheme says it and not the target."""
TARGET, INDICES = "target:", "target indices:"
"""Before an output's name, they make the name of the signal that it is compared with: as rows where the output is."""


def name_outputs(signals: Mapping[str, Tensor], interface: Interface) -> Mapping[str, Tensor]:
    """Add to the signals of a lesson those of every output by its name.

    ``student_<output>`` and ``teacher_<output>``; of logits with places these are rows [P, C] of the places that
    count, and ``student_<output>_map`` is the whole. A classifier's signals stay as they are.

    Args:
        signals: of a scheme, in which ``student_logits`` and ``teacher_logits`` are all that the networks gave.
        interface: what they give.

    Raises:
        InputError: if a network gives another number of outputs.
        ValueError: if an output and its target do not fit.
    """
    if words.is_classifier(interface.outputs):
        return signals
    left_out = ("student_logits", "teacher_logits", "label_indices")
    named = {name: value for name, value in signals.items() if name not in left_out}
    for side in SIDES:
        if (given := signals.get(f"{side}_logits")) is None:
            continue
        outputs = as_tuple(given)
        if len(outputs) != len(interface.outputs):
            names = ", ".join(end.name for end in interface.outputs)
            raise InputError(f"{side}: got {len(outputs)} outputs, want {names}")
        for end, value in zip(interface.outputs, outputs, strict=True):
            named[f"{side}_{end.name}"] = value
    for end in interface.outputs:
        named |= _name_rows(end, named)
    return named


def _name_rows(end: End, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The signals of one output that are not as the networks gave them."""
    target = named.get(end.target)
    if not words.has_places(end):
        if target is None:
            return {}
        indices = {INDICES + end.name: target} if end.class_axis >= 1 and target.ndim == 1 else {}
        return {TARGET + end.name: target, **indices}
    found: dict[str, Tensor] = {}
    counting = named.get(COUNTING)
    if counting is not None:
        labels = None if target is None else rows.target_rows(target, counting)
        if labels is not None and bool((labels >= 0).any()):
            found[TARGET + end.name] = labels
    elif target is not None:
        counting = rows.find_counting(target, int(end.shape[end.class_axis]))
        found[TARGET + end.name] = found[INDICES + end.name] = rows.target_rows(target, counting)
    for name in (f"{side}_{end.name}" for side in SIDES):
        if name in named:
            found[f"{name}_map"] = named[name]
            found[name] = _take_rows(named[name], end, counting)
    return found


def _take_rows(value: Any, end: End, counting: Tensor | None) -> Any:
    """The places of logits, or of stored ones, that count."""
    if not isinstance(value, TopKLogits | PairedLogits):
        return rows.to_rows(value, end.class_axis, counting)
    return value.flatten() if counting is None else value[counting]


def find_keys(asked: Sequence[str], interface: Interface, output: str = "") -> dict[str, str]:
    """Find which signals of `name_outputs` a loss compares, by the names that it has for them.

    Args:
        asked: names of its parameters.
        interface: what the networks give.
        output: which output, where the recipe says.

    Raises:
        ValueError: if there is no such output, or several of which the recipe names none.
    """
    if words.is_classifier(interface.outputs) and output in (
        "",
        interface.outputs[0].name,
    ):
        return {}
    keys: dict[str, str] = {}
    targets = [end.target for end in interface.outputs]
    for kind, names in words.OF_KIND.items():
        if not words.compares_kind(kind, asked, targets):
            continue
        end = words.choose_output(kind, interface.outputs, output)
        own = {f"{side}_{kind}": f"{side}_{end.name}" for side in SIDES}
        own |= {"labels": TARGET + end.name, "label_indices": INDICES + end.name}
        own |= {"targets": TARGET + end.name}
        keys |= {name: key for name, key in own.items() if name in names}
    return keys


def example_outputs(
    interface: Interface, batch: int, fill: Callable[..., Tensor]
) -> dict[str, Tensor]:
    """Signals of a batch in the training shapes: outputs from `fill`, targets of zeros or of the first class."""
    given = tuple(fill(interface.shape(end, batch)) for end in interface.outputs)
    both = given if len(given) > 1 else given[0]
    signals = {f"{side}_logits": both for side in SIDES}
    signals["sample_indices"] = torch.zeros(batch, dtype=torch.int64)
    for end in interface.outputs:
        shape = interface.shape(end, batch)
        if end.target and end.kind == "logits" and end.class_axis >= 1:
            places = shape[: end.class_axis] + shape[end.class_axis + 1 :]
            signals[end.target] = torch.zeros(places, dtype=torch.int64)
        elif end.target:
            signals[end.target] = torch.zeros(shape)
    return dict(name_outputs(signals, interface))
