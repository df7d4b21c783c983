"""What must hold between the steps of learning: who teaches is there, and gives what losses compare."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.errors import nearest
from edgekd.learn.schemes import READABLE
from edgekd.recipe.learning import Distil
from edgekd.recipe.learning import Teacher
from edgekd.recipe.learning import answers
from edgekd.recipe.learning import asked
from edgekd.recipe.learning import fresh
from edgekd.recipe.learning import labels
from edgekd.recipe.learning import reads_inside
from edgekd.recipe.text import Key
from edgekd.table import Named

Fault = tuple[Key, str]


def fault(
    learn: Sequence[Any], teacher: Teacher, teachers: Mapping[str, Teacher], student: Named
) -> Fault | None:
    """The first thing that does not go together: its key, and a sentence; None if all does.

    Args:
        learn: the steps of learning.
        teacher: the first teacher.
        teachers: the further teachers by name.
        student: the model that is to be shipped.
    """
    found = (
        *_teachers(learn, teachers),
        *_signals(learn),
        *_several(learn),
        *_route(learn, teachers, teacher),
        *_private(learn),
        *_last(learn, student),
    )
    return next(iter(found), None)


def _teachers(learn: Sequence[Any], teachers: Mapping[str, Teacher]) -> Iterator[Fault]:
    if "teacher" in teachers:
        yield (
            ("teachers", "teacher"),
            "got 'teacher', which is the first teacher's name, want another",
        )
    names = labels(learn)
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


def _signals(learn: Sequence[Any]) -> Iterator[Fault]:
    for number, words in enumerate(learn):
        taught = words if isinstance(words, Distil) else getattr(words, "recover", None)
        if taught is None:
            continue
        try:
            answers(taught)
        except ValueError as error:
            yield ("learn", number, "knowledge"), str(error)
        scheme = words.scheme.name if isinstance(words, Distil) else "offline"
        for index, term in enumerate(taught.losses):
            if scheme not in READABLE and reads_inside(term):
                message = (
                    f"got {term.loss.name!r}, which reads layers: scheme {scheme!r} shows none"
                )
                yield ("learn", number, "losses", index), message


def _several(learn: Sequence[Any]) -> Iterator[Fault]:
    """A scheme that chooses among teachers, or learns only what is new, must be given that."""
    for number, words in enumerate(learn):
        if not isinstance(words, Distil):
            continue
        name = words.scheme.name
        if "teaches" in asked(words) and len(words.teachers) < 2:
            yield ("learn", number, "scheme"), f"got {name!r}, want two `teachers` or more for it"
        if "old" in words.scheme.arguments and not words.only:
            yield ("learn", number, "scheme"), f"got {name!r}, want `only` to name the new classes"


def _route(
    learn: Sequence[Any], teachers: Mapping[str, Teacher], teacher: Teacher
) -> Iterator[Fault]:
    """A teacher whose way is followed must have kept states of it."""
    for number, words in enumerate(learn):
        if isinstance(words, Distil) and "anchors" in asked(words):
            name = words.teachers[0]
            followed = {"teacher": teacher, **teachers}.get(name)
            if followed is None or not followed.waypoints or followed.weights is not None:
                want = f"want {name} to be trained here with `waypoints`, whose way it follows"
                yield ("learn", number, "scheme"), f"got {words.scheme.name!r}, {want}"


def _private(learn: Sequence[Any]) -> Iterator[Fault]:
    """Only a scheme that asks the student once of each sample can be made private."""
    for number, words in enumerate(learn):
        if isinstance(words, Distil) and words.private is not None:
            if words.scheme.name not in READABLE or words.inherit is not None:
                yield (
                    ("learn", number, "private"),
                    "got it beside a scheme or inherit, want neither",
                )
            least = 64
            if words.train is not None and words.train.batch_size < least:
                key = ("learn", number, "train", "batch_size")
                yield key, f"got {words.train.batch_size}, want {least} or more for privacy"


def _last(learn: Sequence[Any], student: Named) -> Iterator[Fault]:
    """The last model that starts afresh is the student: it is what its control is compared with."""
    starts = [number for number in range(len(learn)) if fresh(learn, number)]
    model = learn[starts[-1]].model if starts else None
    if model is not None and model != student:
        key = ("learn", starts[-1], "model")
        yield key, f"got {model}, want the student's, {student}: it is the last that starts afresh"
