"""Checks the teachers of a recipe's steps: each exists, its step uses it, and it gives what the losses compare."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.errors import nearest
from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Combine
from edgekd.learn.settings import find_reuse_term
from edgekd.learn.signals import find_source
from edgekd.learn.signals import needs
from edgekd.recipe.learning import THE_TEACHER
from edgekd.recipe.learning import Distil
from edgekd.recipe.learning import Quantize
from edgekd.recipe.learning import TaughtStep
from edgekd.recipe.learning import Teacher
from edgekd.recipe.learning import answer_source
from edgekd.recipe.learning import scheme_inputs
from edgekd.recipe.learning import starts_fresh
from edgekd.recipe.learning import step_labels
from edgekd.recipe.learning import taught_steps
from edgekd.recipe.learning import term_reads_layers
from edgekd.recipe.text import Key
from edgekd.table import Named

Fault = tuple[Key, str]
TEACHER_ROLES = {"teacher_function", "teacher_functions", "waypoint_functions", "teacher"}
"""The inputs of a scheme that come from teachers; ``anchors`` and ``teacher`` take one teacher alone."""


def find_fault(
    learn: Sequence[Any], teacher: Teacher, teachers: Mapping[str, Teacher], student: Named
) -> Fault | None:
    """Find the first contradiction: its key and a sentence; None if there is none.

    Args:
        learn: the steps of learning.
        teacher: the first teacher.
        teachers: the further teachers by name.
        student: the model that is to be shipped.
    """
    found = (
        *_teachers(learn, teachers),
        *_made({("teacher",): teacher, **{("teachers", k): v for k, v in teachers.items()}}),
        *_signals(learn),
        *_untaught(learn),
        *_several(learn),
        *_unheard(learn),
        *_route(learn, teachers, teacher),
        *_peers(learn),
        *_last(learn, student),
        *_auxiliary(learn),
    )
    return next(iter(found), None)


def _teachers(learn: Sequence[Any], teachers: Mapping[str, Teacher]) -> Iterator[Fault]:
    if "teacher" in teachers:
        yield (
            ("teachers", "teacher"),
            "got 'teacher', which is the first teacher's name, want another",
        )
    names = step_labels(learn)
    for number, words in enumerate(learn):
        if not isinstance(words, Distil):
            continue
        earlier = [names[at] for at in range(number) if isinstance(learn[at], Distil)]
        known = ["teacher", *teachers, *earlier]
        said: list[tuple[Key, str]] = [
            (("teachers", index), name) for index, name in enumerate(words.teachers)
        ]
        if words.inherit is not None:
            said.append((("inherit", "teacher"), words.inherit.teacher))
        for key, name in said:
            if name not in known:
                hint = nearest(name, known)
                yield (
                    ("learn", number, *key),
                    f"got {name!r}, want one of {', '.join(known)}; {hint}",
                )


def _made(teachers: Mapping[Key, Teacher]) -> Iterator[Fault]:
    """What is said of a teacher's training counts where it is trained; of its weights, where it has some."""
    for key, words in teachers.items():
        count, train = words.waypoints, words.train
        if words.weights is not None:
            for name in ("waypoints", "only"):
                if getattr(words, name):
                    yield (
                        (*key, name),
                        "got it beside `weights`, want one of them: nothing is trained",
                    )
            continue
        loaded = {"classes": "only they have another order", "allow": "only they are loaded"}
        for name, why in loaded.items():
            if getattr(words, name):
                want = f"want `weights` beside it: {why}"
                yield (*key, name), f"got it for a teacher that is trained here, {want}"
        if count >= train.epochs:
            yield (*key, "waypoints"), f"got {count}, want fewer than its epochs, {train.epochs}"
        elif count and train.early_stop_epochs is not None:
            want = "want it without train.early_stop_epochs, which may end before the last"
            yield (*key, "waypoints"), f"got {count}, {want}"


def _auxiliary(learn: Sequence[Any]) -> Iterator[Fault]:
    for number, words in enumerate(learn):
        if isinstance(words, Quantize) and words.train is not None and words.train.auxiliary:
            why = "a quantized student is traced, its auxiliary logits are gone"
            yield ("learn", number, "train", "auxiliary"), f"got it for quantize, want 0: {why}"


def _signals(learn: Sequence[Any]) -> Iterator[Fault]:
    for key, words in taught_steps(learn):
        try:
            answer_source(words)
        except ValueError as error:
            yield (*key, "knowledge"), str(error)
        scheme = _scheme(words)
        for index, term in enumerate(words.losses):
            if not SCHEMES[scheme].sees_batch_once and term_reads_layers(term):
                message = (
                    f"got {term.loss.name!r}, which reads layers: scheme {scheme!r} shows none"
                )
                yield (*key, "losses", index), message


def _scheme(words: TaughtStep) -> str:
    return words.scheme.name if isinstance(words, Distil) else "offline"


def _untaught(learn: Sequence[Any]) -> Iterator[Fault]:
    """A student learns to answer from a loss on its answers, or answers through its teacher's classifier.

    Where layers are not shown all losses are on answers.
    """
    for key, words in taught_steps(learn):
        read = {name for term in words.losses for name in needs(LOSSES[term.loss.name])}
        answers = {n for n in read if n.startswith("student_") and find_source(n) == "labels"}
        if not answers and not find_reuse_term(words.losses):
            names = ", ".join(term.loss.name for term in words.losses)
            verb = "leave" if len(words.losses) > 1 else "leaves"
            message = (
                f"got [{names}], which {verb} the classifier untaught, "
                "want a loss on logits beside, such as cross-entropy"
            )
            yield (*key, "losses"), message


def _several(learn: Sequence[Any]) -> Iterator[Fault]:
    """A scheme that chooses among teachers, or learns only what is new, must be given that."""
    for number, words in enumerate(learn):
        if not isinstance(words, Distil):
            continue
        name = words.scheme.name
        if "teacher_functions" in scheme_inputs(words) and len(words.teachers) < 2:
            yield ("learn", number, "scheme"), f"got {name!r}, want two `teachers` or more for it"
        if "old" in words.scheme.arguments and not words.only:
            yield ("learn", number, "scheme"), f"got {name!r}, want `only` to name the new classes"


def _unheard(learn: Sequence[Any]) -> Iterator[Fault]:
    """What a step says of teachers that its scheme does not ask for."""
    for number, words in enumerate(learn):
        if not isinstance(words, Distil):
            continue
        key, name, asks = ("learn", number), words.scheme.name, set(scheme_inputs(words))
        if not asks & TEACHER_ROLES:
            none = f"scheme {name!r} has no teacher"
            if words.teachers != THE_TEACHER:
                yield (*key, "teachers"), f"got {words.teachers[0]!r}, want it left out: {none}"
            if words.knowledge != "auto":
                yield (*key, "knowledge"), f"got {words.knowledge!r}, want it left out: {none}"
        elif not asks & {"teacher_function", "teacher_functions"} and len(words.teachers) > 1:
            second = words.teachers[1]
            yield (
                (*key, "teachers", 1),
                f"got {second!r}, want one: scheme {name!r} hears one teacher",
            )
        if words.combine != Combine() and (
            "teacher_function" not in asks or len(words.teachers) == 1
        ):
            why = (
                "there is one teacher"
                if "teacher_function" in asks
                else f"scheme {name!r} combines none"
            )
            yield (*key, "combine"), f"got it, want it left out: {why}"


def _route(
    learn: Sequence[Any], teachers: Mapping[str, Teacher], teacher: Teacher
) -> Iterator[Fault]:
    """A teacher whose way is followed must have kept states of it."""
    for number, words in enumerate(learn):
        if isinstance(words, Distil) and "waypoint_functions" in scheme_inputs(words):
            name = words.teachers[0]
            followed = {"teacher": teacher, **teachers}.get(name)
            if followed is None or not followed.waypoints or followed.weights is not None:
                want = f"want {name} to be trained here with `waypoints`, whose way it follows"
                yield ("learn", number, "scheme"), f"got {words.scheme.name!r}, {want}"


def _peers(learn: Sequence[Any]) -> Iterator[Fault]:
    """Peers are built anew: beside a student that has learned already they would pull it back to chance."""
    for number, words in enumerate(learn):
        if not isinstance(words, Distil) or "build_peer" not in scheme_inputs(words):
            continue
        name = words.scheme.name
        if words.inherit is not None:
            yield (
                ("learn", number, "inherit"),
                f"got it beside {name!r}, whose peers begin untrained",
            )
        elif not starts_fresh(learn, number):
            want = "want start: fresh: its peers begin untrained"
            yield ("learn", number, "start"), f"got 'before' for {name!r}, {want}"


def _last(learn: Sequence[Any], student: Named) -> Iterator[Fault]:
    """The last model that starts afresh is the student: it is what its control is compared with."""
    starts = [number for number in range(len(learn)) if starts_fresh(learn, number)]
    model = learn[starts[-1]].model if starts else None
    if model is not None and model != student:
        key = ("learn", starts[-1], "model")
        yield key, f"got {model}, want the student's, {student}: it is the last that starts afresh"
