"""Which layers of two networks belong together: by path, by depth, or by their stages."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.forward_pass import run_once
from edgekd.learn.layer_settings import LayerPair
from edgekd.learn.layer_settings import Layers
from edgekd.learn.method.part_places import find_place
from edgekd.learn.method.part_places import pair_parts
from edgekd.learn.method.taps import INPUT
from edgekd.learn.method.taps import TapPoint
from edgekd.learn.method.taps import find_points
from edgekd.learn.transformer_parts import TransformerParts
from edgekd.learn.transformer_parts import find_parts

MOST_STAGES = 4
"""Of a network whose blocks all look alike: no more of them are read."""

PASSING = (nn.Identity, nn.Dropout, nn.Softmax)
"""Ends no stage; in attention, what passes it is scores and no map."""


class NetworkStages(NamedTuple):
    """The places of one network that losses read unless the recipe names others."""

    stages: tuple[str, ...]
    """Where each stage ends, shallow to deep."""
    classifier: str
    """What enters the layer that gives the logits."""
    parts: TransformerParts | None = None
    """Of a transformer over tokens."""


def find_stages(model: nn.Module, *inputs: Tensor, output: int | None = None) -> NetworkStages:
    """Find the stages and the classifier of a model in a pass over `inputs`, each [B, ...].

    Args:
        model: is left as it is.
        inputs: what it takes.
        output: which of several outputs the classifier gives; None of one, or where it does not matter.

    Raises:
        ValueError: if no layer gives the logits, or nothing in it looks like a stage.
    """
    found = find_points(model, *inputs)
    classifier = _layer_of(model, inputs, output) if output is not None else ""
    classifier = classifier or _classifier(found)
    learned = [any(True for _ in point.module.parameters()) for point in found]
    first = learned.index(True)
    inner = [
        point
        for point in found[first:]
        if point.place + INPUT != classifier and not isinstance(point.module, PASSING)
    ]
    parts = _find_token_parts(model, found)
    blocks = [] if parts is None else _spread(list(parts.blocks))
    stages = blocks or _maps(inner) or _blocks(inner) or _vectors(inner, found[-1].shape)
    if not stages:
        raise ValueError("found no stages in the model, want `layers` that name modules of it")
    return NetworkStages(tuple(stages), classifier, parts)


def pair_layers(
    layers: Layers, student: NetworkStages, teacher: NetworkStages
) -> tuple[LayerPair, ...]:
    """Pair the layers that a recipe names, or that lie at one depth, or that end the stages.

    Args:
        layers: ``auto`` is all stages; a number is a depth between the input, 0, and the logits, 1; any other word is a
            part of transformers (`edgekd.learn.method.part_places`).
        student: its places.
        teacher: its places.

    Raises:
        ValueError: if a part is asked for that a network has not.
    """
    named = (layers,) if isinstance(layers, LayerPair) else layers
    if isinstance(named, tuple):
        return tuple(
            LayerPair(
                student=find_place(pair.student, student.parts, "student"),
                teacher=find_place(pair.teacher, teacher.parts, "teacher"),
            )
            for pair in named
        )
    if isinstance(layers, str) and layers != "auto":
        return pair_parts(layers, student.parts, teacher.parts)
    if isinstance(layers, float):
        return (LayerPair(student=_at(student, layers), teacher=_at(teacher, layers)),)
    count = min(len(student.stages), len(teacher.stages))
    ends = [(number + 1) / count for number in range(count)]
    return tuple(LayerPair(student=_at(student, end), teacher=_at(teacher, end)) for end in ends)


def _at(network: NetworkStages, depth: float) -> str:
    return network.stages[max(0, round(depth * len(network.stages)) - 1)]


def _classifier(found: Sequence[TapPoint]) -> str:
    """The input of the last layer with weights of two axes or more."""
    for point in reversed(found):
        weight = getattr(point.module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim >= 2:
            return point.place + INPUT
    raise ValueError("found no layer that gives the logits, want a model with one at its end")


def _layer_of(model: nn.Module, inputs: Sequence[Tensor], output: int) -> str:
    """The input of the layer whose numbers are an output, however they are moved; empty if none's are."""
    passed: dict[str, Tensor] = {}

    def note(place: str, _module: nn.Module, _given: object, made: object) -> None:
        if isinstance(made, Tensor):
            passed[place] = made  # held, so that no other tensor takes its memory

    handles = [
        module.register_forward_hook(functools.partial(note, name))
        for name, module in model.named_modules()
        if isinstance(weight := getattr(module, "weight", None), Tensor) and weight.ndim >= 2
    ]
    try:
        given = as_tuple(run_once(model, *inputs))
    finally:
        for handle in handles:
            handle.remove()
    where = given[output].untyped_storage().data_ptr()
    same = [p for p, value in passed.items() if value.untyped_storage().data_ptr() == where]
    return same[-1] + INPUT if same else ""


def _find_token_parts(model: nn.Module, found: Sequence[TapPoint]) -> TransformerParts | None:
    """The parts of a transformer whose blocks all give tokens of one width, [B, N, D]."""
    parts = find_parts(model)
    if parts is None:
        return None
    shapes = {point.place: point.shape for point in found}
    given = {shapes.get(block, ())[1:] for block in parts.blocks}
    return parts if len(given) == 1 and all(len(each) == 2 for each in given) else None


def _maps(found: Sequence[TapPoint]) -> list[str]:
    """Of feature maps: the last of every resolution. A map of one pixel is a pooled one."""
    last: dict[tuple[int, ...], tuple[int, str]] = {}
    for number, point in enumerate(found):
        if len(point.shape) == 4 and max(point.shape[2:]) > 1:
            last[point.shape[2:]] = (number, point.place)
    return [place for _, place in sorted(last.values())] if len(last) > 1 else []


def _blocks(found: Sequence[TapPoint]) -> list[str]:
    """Of tokens, or maps of one resolution: the children of the list with the most blocks alike."""
    groups: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for point in found:
        parent, _, name = point.place.rpartition(".")
        if name.isdecimal() and len(point.shape) in (3, 4):
            groups.setdefault((parent, point.shape), []).append(point.place)
    most = max(groups.values(), key=len, default=[])
    return _spread(most) if len(most) > 1 else []


def _vectors(found: Sequence[TapPoint], logits: tuple[int, ...]) -> list[str]:
    return _spread([p.place for p in found if len(p.shape) == 2 and p.shape != logits])


def _spread(places: list[str]) -> list[str]:
    """At most `MOST_STAGES` of them, evenly, the last included."""
    count = min(len(places), MOST_STAGES)
    return [places[(number + 1) * len(places) // count - 1] for number in range(count)]
