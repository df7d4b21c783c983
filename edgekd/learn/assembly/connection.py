"""Connects losses to the layers they compare: finds them, builds what is trained beside, reads them in every step."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.interface import image_classifier
from edgekd.learn.assembly.binding import BindingContext
from edgekd.learn.assembly.binding import LayerSignal
from edgekd.learn.assembly.binding import bind_parts
from edgekd.learn.assembly.compared_layers import ComparedLayers
from edgekd.learn.assembly.compared_layers import list_layers
from edgekd.learn.assembly.tapped_layers import find_tapped_layers
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.layer_settings import LayerPair
from edgekd.learn.losses import LOSSES
from edgekd.learn.method import pairing
from edgekd.learn.method import taps
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.named_outputs import name_outputs
from edgekd.learn.method.pairing import NetworkStages
from edgekd.learn.method.part_places import has_part
from edgekd.learn.method.part_places import pair_parts
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.stored_layers import StoredTaps
from edgekd.learn.method.taps import Taps
from edgekd.learn.settings import Term
from edgekd.learn.signals import TOKEN_MASK
from edgekd.learn.signals import Side
from edgekd.learn.signals import find_answer
from edgekd.learn.signals import find_mask
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import needs
from edgekd.learn.signals import pairs_layers
from edgekd.learn.signals import reads_layers


class Connection(NamedTuple):
    """The terms of a step, their companions, and the taps that read the layers they compare."""

    terms: tuple[BoundTerm, ...]
    companions: nn.ModuleDict
    taps: Mapping[Side, Taps | StoredTaps]
    """Empty where no loss looks inside."""
    rows: tuple[ComparedLayers, ...]
    interface: Interface
    tapped: StoredLayers | None = None
    """The layers of the teacher that are read."""

    def add_to_scheme(self, scheme: Scheme) -> Scheme:
        """Name the outputs of every lesson, and add what the taps read inside the networks to the student's."""

        def lessons(student: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
            with contextlib.ExitStack() as stack:
                read = {side: stack.enter_context(tap) for side, tap in self.taps.items()}
                first, *others = scheme.lessons(student, batch)
            signals = {
                **self._find_token_mask(batch),
                **name_outputs(first.signals, self.interface),
            }
            for side, values in read.items():
                signals |= {LayerSignal(side, place): value for place, value in values.items()}
            named = [
                other._replace(signals=name_outputs(other.signals, self.interface))
                for other in others
            ]
            return [first._replace(signals=signals), *named]

        companions = {**scheme.companions, **self.companions}
        return Scheme(lessons, nn.ModuleDict(companions))

    def _find_token_mask(self, batch: TensorBatch) -> dict[str, Tensor]:
        """What the batch says of padding; a scheme that shows the student other texts says it itself."""
        at = find_mask(self.interface.inputs)
        return {} if at is None or at >= len(batch.inputs) else {TOKEN_MASK: batch.inputs[at]}


def reads_inside(terms: Sequence[Term], side: Side | None = None) -> bool:
    """Return whether a loss reads layers of the student, of the teacher, or (None) of either."""
    return any(reads_layers(term.loss.find_member(LOSSES), side) for term in terms)


def connect(
    terms: Sequence[Term],
    student: nn.Module,
    teacher: nn.Module | StoredTaps | None,
    *inputs: Tensor,
    samples: int,
    interface: Interface | None = None,
    classes: int = 0,
    epochs: float = 0.0,
    allow_code: bool = False,
) -> Connection:
    """Find what each loss reads and build what it trains; weights come from torch's generator.

    Args:
        terms: of the recipe.
        student: its modules are read, nothing in it changes.
        teacher: the same, or its stored layers; None where only its answers are at hand.
        inputs: each [B, ...], a batch of the size that is trained on.
        samples: how many there are to learn from.
        interface: what the networks take and give; None for one of `classes` a sample.
        classes: how many, where no interface is given.
        epochs: of the training, for weights that rise at its beginning; 0 leaves them as they will be.
        allow_code: whether ``python:`` losses may run.

    Raises:
        InputError: if a layer is not there, or a loss cannot be computed on what was found; names the
            loss.
    """
    if not reads_inside(terms):
        return connect_outputs(
            terms,
            len(inputs[0]),
            samples=samples,
            interface=interface,
            classes=classes,
            epochs=epochs,
            allow_code=allow_code,
        )
    ends = interface or _classifier(classes)
    bound = bind_terms(
        terms, classes=ends.sizes.get("classes", 0), epochs=epochs, allow_code=allow_code
    )
    try:
        return _connected(terms, bound, student, teacher, inputs, samples, ends)
    except ValueError as error:
        raise InputError(f"losses: {error}") from error


def connect_outputs(
    terms: Sequence[Term],
    batch: int,
    *,
    samples: int,
    interface: Interface | None = None,
    classes: int = 0,
    epochs: float = 0.0,
    allow_code: bool = False,
) -> Connection:
    """Connect losses that compare answers alone, as `connect` does; no network has to be run."""
    ends = interface or _classifier(classes)
    count = ends.sizes.get("classes", 0)
    plain = BindingContext({}, {}, batch, count, samples, ends)
    bound = bind_terms(terms, classes=count, epochs=epochs, allow_code=allow_code)
    pairs = zip(bound, terms, strict=True)
    finished = tuple(bind_parts(term, words, (), plain) for term, words in pairs)
    return Connection(finished, _companions(finished), {}, (), ends)


def _classifier(classes: int) -> Interface:
    return image_classifier(classes=classes, channels=1, height=1, width=1)


def _connected(
    terms: Sequence[Term],
    bound: Sequence[BoundTerm],
    student: nn.Module,
    teacher: nn.Module | StoredTaps | None,
    inputs: tuple[Tensor, ...],
    samples: int,
    interface: Interface,
) -> Connection:
    few = [each[:2] for each in inputs]
    at = find_answer(interface.outputs)
    one = pairing.find_stages(student, *few, output=at)
    other = one
    if isinstance(teacher, StoredTaps):
        other = teacher.network
    elif teacher is not None:
        other = pairing.find_stages(teacher, *few, output=at)
    pairs = [_pairs(words, one, other) for words in terms]
    mine = [one.classifier, *(pair.student for found in pairs for pair in found)]
    theirs = [pair.teacher for found in pairs for pair in found]
    if any(_reads_embedding(words) for words in terms):
        theirs.insert(0, other.classifier)
    read: dict[Side, Taps | StoredTaps] = {"student": Taps(student, mine)}
    shapes: dict[Side, dict[str, tuple[int, ...]]] = {"teacher": {}}
    shapes["student"] = taps.record_shapes(student, mine, *inputs)
    if teacher is not None:
        read["teacher"], shapes["teacher"] = _tap_teacher(teacher, theirs, inputs)
    context = BindingContext(
        {"student": one, "teacher": other},
        shapes,
        len(inputs[0]),
        interface.sizes.get("classes", 0),
        samples,
        interface,
    )
    finished = tuple(
        bind_parts(term, words, found, context)
        for term, words, found in zip(bound, terms, pairs, strict=True)
    )
    rows = (
        row
        for term, words, found in zip(finished, terms, pairs, strict=True)
        for row in list_layers(term, words, found, context)
    )
    tapped = find_tapped_layers(finished, context)
    return Connection(finished, _companions(finished), read, tuple(rows), interface, tapped)


def _tap_teacher(
    teacher: nn.Module | StoredTaps, places: Sequence[str], inputs: tuple[Tensor, ...]
) -> tuple[Taps | StoredTaps, dict[str, tuple[int, ...]]]:
    """What gives a teacher's layers in every step, and their shapes."""
    if isinstance(teacher, StoredTaps):
        return teacher, teacher.record_shapes(places, len(inputs[0]))
    return Taps(teacher, places), taps.record_shapes(teacher, places, *inputs)


def _reads_embedding(words: Term) -> bool:
    found = map(find_signal, needs(words.loss.find_member(LOSSES)))
    return any(each.kind == "embedding" and each.side == "teacher" for each in found)


def _pairs(words: Term, student: NetworkStages, teacher: NetworkStages) -> tuple[LayerPair, ...]:
    member = words.loss.find_member(LOSSES)
    if not pairs_layers(member):
        return ()
    layers = words.layers
    parts = (student.parts, teacher.parts)
    if layers == "auto" and member.layers and all(has_part(member.layers, each) for each in parts):
        return pair_parts(member.layers, *parts)
    if layers == "auto" and member.depth is not None:
        layers = member.depth
    return pairing.pair_layers(layers, student, teacher)


def _companions(terms: Sequence[BoundTerm]) -> nn.ModuleDict:
    """By the term's name and the pair's number; a module's name has no dots."""
    found = {}
    for term in terms:
        for number, part in enumerate(term.parts):
            if part.companion is not None:
                found[f"{term.name}-{number}".replace(".", "_")] = part.companion
    return nn.ModuleDict(found)
