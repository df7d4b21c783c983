"""Connects losses to the layers they compare: pairs, companions, and the plan that is shown and kept."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.learn import pairing
from edgekd.learn import taps
from edgekd.learn.loss import BoundTerm
from edgekd.learn.loss import Key
from edgekd.learn.loss import Part
from edgekd.learn.loss import bind_terms
from edgekd.learn.loss import rehearsed
from edgekd.learn.losses import LOSSES
from edgekd.learn.pairing import Network
from edgekd.learn.scheme import Lesson
from edgekd.learn.scheme import Scheme
from edgekd.learn.scheme import TensorBatch
from edgekd.learn.settings import LayerPair
from edgekd.learn.settings import Term
from edgekd.learn.signals import needs
from edgekd.learn.signals import pairs_layers
from edgekd.learn.signals import reads_layers
from edgekd.learn.taps import Taps
from edgekd.table import signature

STUDENT, TEACHER = "student:", "teacher:"
"""Before a place, they make the name of the signal that is read there."""


class Row(NamedTuple):
    """One line of the plan: what a loss compares, and what it trains for that."""

    loss: str
    student: str
    student_shape: tuple[int, ...]
    teacher: str
    teacher_shape: tuple[int, ...]
    companion_parameters: int

    def told(self) -> str:
        """For people."""
        extra = f", {self.companion_parameters:,} parameters" if self.companion_parameters else ""
        return (
            f"{self.loss}: student {self.student} {list(self.student_shape[1:])} and "
            f"teacher {self.teacher} {list(self.teacher_shape[1:])}{extra}"
        )


class Connected(NamedTuple):
    """Terms that know where their signals are read."""

    terms: tuple[BoundTerm, ...]
    companions: nn.ModuleDict
    student: Taps | None
    """None where no loss looks inside."""
    teacher: Taps | None
    rows: tuple[Row, ...]

    def around(self, scheme: Scheme) -> Scheme:
        """The scheme with what is read inside the networks added to the student's lesson."""
        open_taps = [
            (mark, tap)
            for mark, tap in ((STUDENT, self.student), (TEACHER, self.teacher))
            if tap is not None
        ]

        def lessons(student: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
            with contextlib.ExitStack() as stack:
                read = [(mark, stack.enter_context(tap)) for mark, tap in open_taps]
                first, *others = scheme.lessons(student, batch)
            signals = dict(first.signals)
            for mark, values in read:
                signals |= {mark + place: value for place, value in values.items()}
            return [first._replace(signals=signals), *others]

        companions = {**scheme.companions, **self.companions}
        return Scheme(lessons, nn.ModuleDict(companions))


def looks_inside(terms: Sequence[Term], side: Literal["student", "teacher"] | None = None) -> bool:
    """Whether a loss reads layers of the student, of the teacher, or (None) of either."""
    return any(reads_layers(LOSSES[term.loss.name], side) for term in terms)


def connect(
    terms: Sequence[Term],
    student: nn.Module,
    teacher: nn.Module | None,
    *inputs: Tensor,
    classes: int,
    samples: int,
) -> Connected:
    """Find what each loss reads and build what it trains; weights come from torch's generator.

    Args:
        terms: of the recipe.
        student: its modules are read, nothing in it changes.
        teacher: the same; None where only its answers are at hand.
        inputs: each [B, ...], a batch of the size that is trained on.
        classes: how many logits.
        samples: how many there are to learn from.

    Raises:
        InputError: if a layer is not there, or a loss cannot be computed on what was found; names the
            loss.
    """
    if not looks_inside(terms):
        return of_answers(terms, len(inputs[0]), classes=classes, samples=samples)
    try:
        return _connected(terms, bind_terms(terms), student, teacher, inputs, classes, samples)
    except ValueError as error:
        raise InputError(f"losses: {error}") from error


def of_answers(terms: Sequence[Term], batch: int, *, classes: int, samples: int) -> Connected:
    """`connect` for losses that compare answers alone: no network has to be looked at."""
    plain = _Ground(None, None, {}, {}, batch, classes, samples)
    pairs = zip(bind_terms(terms), terms, strict=True)
    finished = tuple(_with_parts(term, words, (), plain) for term, words in pairs)
    return Connected(finished, _companions(finished), None, None, ())


class _Ground(NamedTuple):
    """What all terms are connected on."""

    student: Network | None
    teacher: Network | None
    student_shapes: Mapping[str, tuple[int, ...]]
    teacher_shapes: Mapping[str, tuple[int, ...]]
    batch: int
    classes: int
    samples: int


def _connected(
    terms: Sequence[Term],
    bound: Sequence[BoundTerm],
    student: nn.Module,
    teacher: nn.Module | None,
    inputs: tuple[Tensor, ...],
    classes: int,
    samples: int,
) -> Connected:
    few = [each[:2] for each in inputs]
    one = pairing.network(student, *few)
    other = one if teacher is None else pairing.network(teacher, *few)
    pairs = [_pairs(words, one, other) for words in terms]
    mine = [one.classifier, *(pair.student for found in pairs for pair in found)]
    theirs = [other.classifier, *(pair.teacher for found in pairs for pair in found)]
    ground = _Ground(
        one,
        other,
        taps.shapes(student, mine, *inputs),
        {} if teacher is None else taps.shapes(teacher, theirs, *inputs),
        len(inputs[0]),
        classes,
        samples,
    )
    finished = tuple(
        _with_parts(term, words, found, ground)
        for term, words, found in zip(bound, terms, pairs, strict=True)
    )
    rows = [_rows(t, words, f, ground) for t, words, f in zip(finished, terms, pairs, strict=True)]
    return Connected(
        finished,
        _companions(finished),
        Taps(student, mine),
        None if teacher is None else Taps(teacher, theirs),
        tuple(row for found in rows for row in found),
    )


def _pairs(words: Term, student: Network, teacher: Network) -> tuple[LayerPair, ...]:
    member = LOSSES[words.loss.name]
    if not pairs_layers(member):
        return ()
    layers = words.layers
    if layers == "auto" and member.depth is not None:
        layers = member.depth
    return pairing.paired(layers, student, teacher)


def _with_parts(
    term: BoundTerm, words: Term, pairs: Sequence[LayerPair], ground: _Ground
) -> BoundTerm:
    """The term with one part a pair; with one part of all pairs where it compares stages."""
    wanted = needs(LOSSES[words.loss.name])
    if words.standardize and ground.classes < 3:
        raise InputError(
            f"loss {term.name}: got standardize with {ground.classes} classes, want 3 or more: of two, "
            f"all z-scores are alike"
        )
    groups: list[tuple[LayerPair, ...]] = [tuple(pairs)]
    if any(name.endswith("_features") for name in wanted) and pairs:
        groups = [(pair,) for pair in pairs]
    parts = tuple(_part(words, _keys(wanted, group, ground), ground) for group in groups)
    connected = dataclasses.replace(term, parts=parts)
    for part in parts:
        known = _zeros(part, ground)
        rehearsed(dataclasses.replace(term, parts=(part,)), known)
    return connected


def _keys(wanted: Sequence[str], group: Sequence[LayerPair], ground: _Ground) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for name in wanted:
        who, _, kind = name.partition("_")
        mark, network = (STUDENT, ground.student) if who == "student" else (TEACHER, ground.teacher)
        if kind == "embedding" and network is not None:
            keys[name] = mark + network.classifier
        elif kind == "features":
            keys[name] = mark + getattr(group[0], who)
        elif kind == "stages":
            keys[name] = tuple(mark + getattr(pair, who) for pair in group)
    return keys


def _part(words: Term, keys: Mapping[str, Key], ground: _Ground) -> Part:
    companion = LOSSES[words.loss.name].companion
    if companion is None:
        return Part(keys)
    found = signature(companion)
    knobs = {k: v for k, v in words.loss.arguments.items() if k in found.knobs.model_fields}
    offered = {"samples": ground.samples, "classes": ground.classes}
    offered["batches"] = max(1, ground.samples // ground.batch)
    knobs |= {name: offered[name] for name in companion.supplied}
    shapes = [_shape(name, keys, ground) for name in found.positional]
    try:
        module = companion.load()(*shapes, **knobs)
    except ValueError as error:
        raise InputError(f"loss {words.loss.name}: {error}") from error
    return Part(keys, module, found.positional)


def _shape(name: str, keys: Mapping[str, Key], ground: _Ground) -> Any:
    key = keys.get(name)
    if isinstance(key, tuple):
        return tuple(_read(each, ground) for each in key)
    if key is None:
        return (ground.batch, ground.classes) if name.endswith("_logits") else (ground.batch,)
    shape = _read(key, ground)
    if name.endswith("_embedding") and len(shape) > 2:
        return (shape[0], shape[1] if len(shape) == 4 else shape[2])
    return shape


def _read(key: str, ground: _Ground) -> tuple[int, ...]:
    known = ground.student_shapes if key.startswith(STUDENT) else ground.teacher_shapes
    return known[key.removeprefix(STUDENT).removeprefix(TEACHER)]


def _zeros(part: Part, ground: _Ground) -> dict[str, Tensor]:
    """A batch of nothing in the shapes that will come."""
    logits = torch.zeros(ground.batch, ground.classes)
    labels = torch.zeros(ground.batch, dtype=torch.int64)
    known = {"student_logits": logits, "teacher_logits": logits, "labels": labels}
    known |= {"label_indices": labels, "sample_indices": labels}
    for key in part.keys.values():
        for each in (key,) if isinstance(key, str) else key:
            known[each] = torch.zeros(_read(each, ground))
    return known


def _companions(terms: Sequence[BoundTerm]) -> nn.ModuleDict:
    """By the term's name and the pair's number; a module's name has no dots."""
    found = {}
    for term in terms:
        for number, part in enumerate(term.parts):
            if part.companion is not None:
                found[f"{term.name}-{number}".replace(".", "_")] = part.companion
    return nn.ModuleDict(found)


def _rows(term: BoundTerm, words: Term, pairs: Sequence[LayerPair], ground: _Ground) -> list[Row]:
    wanted = needs(LOSSES[words.loss.name])
    places = [(pair.student, pair.teacher) for pair in pairs]
    if not places and any(name.endswith("_embedding") for name in wanted):
        assert ground.student is not None and ground.teacher is not None
        places = [(ground.student.classifier, ground.teacher.classifier)]
    sizes = [
        0 if part.companion is None else sum(p.numel() for p in part.companion.parameters())
        for part in term.parts
    ]
    sizes += [0] * (len(places) - len(sizes))  # one part may stand for all pairs
    return [
        Row(term.name, s, ground.student_shapes[s], t, ground.teacher_shapes.get(t, ()), size)
        for (s, t), size in zip(places, sizes, strict=False)
    ]
