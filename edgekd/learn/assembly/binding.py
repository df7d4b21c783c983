"""Binds a loss to what it reads: the names of its signals, its companions, one trial on zeros."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import Self

import torch
from torch import Tensor

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.learn.layer_settings import LayerPair
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.method.loss import Key
from edgekd.learn.method.loss import TermPart
from edgekd.learn.method.loss import rehearse_term
from edgekd.learn.method.named_outputs import example_outputs
from edgekd.learn.method.named_outputs import find_keys
from edgekd.learn.method.pairing import NetworkStages
from edgekd.learn.settings import Term
from edgekd.learn.signals import TOKEN_MASK
from edgekd.learn.signals import Side
from edgekd.learn.signals import find_mask
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import is_classifier
from edgekd.learn.signals import needs
from edgekd.table import find_signature


class LayerSignal(str):
    """The name of the signal that is read at a place inside a network: ``student:layers.2``."""

    side: Side
    place: str

    def __new__(cls, side: Side, place: str) -> Self:
        made = super().__new__(cls, f"{side}:{place}")
        made.side, made.place = side, place
        return made


class BindingContext(NamedTuple):
    """The networks, shapes and sizes that all terms are bound with."""

    networks: Mapping[Side, NetworkStages]
    """Empty where no loss looks inside."""
    shapes: Mapping[Side, Mapping[str, tuple[int, ...]]]
    """By side and place."""
    batch: int
    classes: int
    samples: int
    interface: Interface


def bind_parts(
    term: BoundTerm, words: Term, pairs: Sequence[LayerPair], context: BindingContext
) -> BoundTerm:
    """Give the term one part a pair, or one part of all pairs where it compares stages; try each on zeros."""
    wanted = needs(words.loss.find_member(LOSSES))
    if words.standardize and context.classes < 3:
        raise InputError(
            f"loss {term.name}: got standardize with {context.classes} classes, want 3 or more: of two, "
            f"all z-scores are alike"
        )
    groups: list[tuple[LayerPair, ...]] = [tuple(pairs)]
    if any(find_signal(name).kind == "features" for name in wanted) and pairs:
        groups = [(pair,) for pair in pairs]
    try:
        outputs = find_keys(wanted, context.interface, words.output)
    except ValueError as error:
        raise InputError(f"loss {term.name}: {error}") from error
    parts = tuple(
        _part(words, {**outputs, **_keys(wanted, group, context)}, context) for group in groups
    )
    connected = dataclasses.replace(term, parts=parts)
    for part in parts:
        alone = dataclasses.replace(term, parts=(part,))
        rehearse_term(alone, _signals(part, context, torch.zeros))
        if not words.loss.find_member(LOSSES).built_in:
            noise = torch.Generator().manual_seed(0)
            draw = functools.partial(torch.randn, generator=noise)
            _require_learnable(alone, _signals(part, context, draw))
    return connected


def _require_learnable(term: BoundTerm, signals: Mapping[str, Tensor]) -> None:
    """Compute a term on random signals, of which the student's are to be learned.

    Raises:
        InputError: if it cannot be computed, is no finite number, or does not depend on the student's signals.
    """
    leaves = {
        name: value.clone().requires_grad_() if _side(name) == "student" else value
        for name, value in signals.items()
    }
    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        value = term.value(leaves)
    if not bool(value.isfinite()):
        raise InputError(
            f"loss {term.name}: got {float(value.detach())} of random signals, want a finite number"
        )
    if not value.requires_grad:
        raise InputError(
            f"loss {term.name}: got a number without a gradient, want one that depends on the student's signals"
        )


def _side(name: str) -> Side | None:
    return name.side if isinstance(name, LayerSignal) else find_signal(name).side


def _keys(
    wanted: Sequence[str], group: Sequence[LayerPair], context: BindingContext
) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for name in wanted:
        signal = find_signal(name)
        if (side := signal.side) is None:
            continue
        places = [pair.student if side == "student" else pair.teacher for pair in group]
        if signal.kind == "embedding" and side in context.networks:
            keys[name] = LayerSignal(side, context.networks[side].classifier)
        elif signal.kind == "features":
            keys[name] = LayerSignal(side, places[0])
        elif signal.kind == "stages":
            keys[name] = tuple(LayerSignal(side, place) for place in places)
    return keys


def _part(words: Term, keys: Mapping[str, Key], context: BindingContext) -> TermPart:
    companion = words.loss.find_member(LOSSES).companion
    if companion is None:
        return TermPart(keys)
    found = find_signature(companion)
    knobs = {k: v for k, v in words.loss.arguments.items() if k in found.knobs.model_fields}
    offered = {"samples": context.samples, "classes": context.classes}
    offered["batches"] = max(1, context.samples // context.batch)
    knobs |= {name: offered[name] for name in companion.supplied}
    shapes = [_shape(name, keys, context) for name in found.positional]
    try:
        module = companion.load()(*shapes, **knobs)
    except ValueError as error:
        raise InputError(f"loss {words.loss.name}: {error}") from error
    return TermPart(keys, module, found.positional)


def _shape(name: str, keys: Mapping[str, Key], context: BindingContext) -> Any:
    key, kind = keys.get(name), find_signal(name).kind
    if isinstance(key, tuple):
        return tuple(_read(each, context) for each in key)
    if not isinstance(key, LayerSignal):
        return (context.batch, context.classes) if kind == "logits" else (context.batch,)
    shape = _read(key, context)
    if kind == "embedding" and len(shape) > 2:
        return (shape[0], shape[1] if len(shape) == 4 else shape[2])
    return shape


def _read(key: str, context: BindingContext) -> tuple[int, ...]:
    assert isinstance(key, LayerSignal)
    return context.shapes[key.side][key.place]


def _signals(
    part: TermPart, context: BindingContext, fill: Callable[..., Tensor]
) -> dict[str, Tensor]:
    """Return a batch in the training shapes: all of the first class, other values from `fill`."""
    if is_classifier(context.interface.outputs):
        sides = ("student_logits", "teacher_logits")
        known = {name: fill(context.batch, context.classes) for name in sides}
        labels = torch.zeros(context.batch, dtype=torch.int64)
        known |= {"labels": labels, "label_indices": labels, "sample_indices": labels}
    else:
        known = example_outputs(context.interface, context.batch, fill)
    at = find_mask(context.interface.inputs)
    if at is not None:
        shape = context.interface.shape(context.interface.inputs[at], context.batch)
        known[TOKEN_MASK] = torch.ones(shape, dtype=torch.int64)
    for key in part.keys.values():
        for each in (key,) if isinstance(key, str) else key:
            if isinstance(each, LayerSignal):
                known[each] = fill(_read(each, context))
    return known
