"""Checks the teachers of a recipe's steps: each exists, its step uses it, and it gives what the losses compare."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from edgekd.errors import find_nearest
from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import PARTICIPANTS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import CombineSettings
from edgekd.learn.settings import Training
from edgekd.learn.settings import find_reuse_term
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import needs
from edgekd.named_member import NamedMember
from edgekd.recipe.learning import THE_STUDENT
from edgekd.recipe.learning import THE_TEACHER
from edgekd.recipe.learning import Student
from edgekd.recipe.learning import Teacher
from edgekd.recipe.learning import term_reads_layers
from edgekd.recipe.steps import LENGTHS_VARY
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import distillations
from edgekd.recipe.steps import find_quantization
from edgekd.recipe.text import Key

Fault = tuple[Key, str]
_NOT_RANDOM = "want weights beside it: what is drawn at random would never learn"


def find_fault(
    steps: Sequence[LearningStep], teachers: Mapping[Key, Teacher], student: Student
) -> Fault | None:
    """Find the first contradiction: its key and a sentence; None if there is none.

    Args:
        steps: of learning.
        teachers: all of them, by their keys.
        student: the model that is to be shipped.
    """
    taught = distillations(steps)
    named = {str(key[-1]): words for key, words in teachers.items()}
    found = (
        *_teachers(taught, teachers, student),
        *_made(teachers),
        *_signals(taught),
        *_untaught(taught),
        *_several(taught),
        *_unheard(taught),
        *_route(taught, named),
        *_peers(taught),
        *_last(taught, student.model),
        *_auxiliary(steps),
        *_unstorable(steps),
    )
    return next(iter(found), None)


def _teachers(
    taught: Sequence[Distillation], teachers: Mapping[Key, Teacher], student: Student
) -> Iterator[Fault]:
    """Each name is that of a teacher, of the student where it is loaded, or of an earlier step."""
    loaded = THE_STUDENT if student.has_weights else ()
    for name in (*THE_TEACHER, *loaded):
        if ("teachers", name) in teachers:
            whose = "student" if name in loaded else "first teacher"
            yield ("teachers", name), f"got {name!r}, which is the {whose}'s name, want another"
    known = [*(str(key[-1]) for key in teachers), *loaded]
    for step in taught:
        words = step.words
        said: list[tuple[Key, str]] = [
            (("teachers", index), name) for index, name in enumerate(step.teachers)
        ]
        if words.inherit is not None:
            said.append((("inherit", "teacher"), words.inherit.teacher))
        for key, name in said:
            if name not in known:
                want = f"want one of {', '.join(known)}; {find_nearest(name, known)}"
                none = "and there is no teacher, want `teacher` in the recipe"
                yield (*step.key, *key), f"got {name!r}, {want if known else none}"
        if not step.is_recovery:
            known.append(step.label)


def _made(teachers: Mapping[Key, Teacher]) -> Iterator[Fault]:
    """What is said of a teacher's training counts where it is trained; of its weights, where it has some."""
    for key, words in teachers.items():
        count, train = words.waypoints, words.training
        if not words.is_trained:
            for name in ("waypoints", "only"):
                if getattr(words, name):
                    yield (
                        (*key, name),
                        "got it beside `weights`, want `train` beside them: nothing is trained",
                    )
            continue
        loaded = {"classes": "only they have another order", "allow": "only they are loaded"}
        if not words.has_weights and train.freeze:
            yield (*key, "train", "freeze"), f"got it without `weights`, {_NOT_RANDOM}"
        for name, why in loaded.items():
            if getattr(words, name) and not words.has_weights:
                want = f"want `weights` beside it: {why}"
                yield (*key, name), f"got it for a teacher that is trained here, {want}"
        if count >= train.epochs:
            yield (*key, "waypoints"), f"got {count}, want fewer than its epochs, {train.epochs}"
        elif count and train.early_stop_epochs is not None:
            want = "want it without train.early_stop_epochs, which may end before the last"
            yield (*key, "waypoints"), f"got {count}, {want}"


def _auxiliary(steps: Sequence[LearningStep]) -> Iterator[Fault]:
    last = find_quantization(steps)
    if last is None or last.words.train is None:
        return
    where, train = (*last.key, "train"), last.words.train
    if train.auxiliary:
        why = "a quantized student is traced, its auxiliary logits are gone"
        yield (*where, "auxiliary"), f"got it for quantize, want 0: {why}"
    for name in ("layer_decay", "freeze"):
        if getattr(train, name) != Training.model_fields[name].default:
            why = "a quantized student is traced, its modules are gone"
            yield (*where, name), f"got it for quantize, want it left out: {why}"


def _unstorable(steps: Sequence[LearningStep]) -> Iterator[Fault]:
    last = find_quantization(steps)
    if last is not None and last.answers == "online" and last.words.knowledge == "stored":
        yield (*last.key, "knowledge"), f"got 'stored', want 'online': {LENGTHS_VARY}"


def _signals(taught: Sequence[Distillation]) -> Iterator[Fault]:
    for step in taught:
        if step.why_online and step.words.knowledge == "stored":
            yield (*step.key, "knowledge"), f"got 'stored', want 'online': {step.why_online}"
        scheme = step.words.scheme.name
        for index, term in enumerate(step.losses):
            if not SCHEMES[scheme].sees_batch_once and term_reads_layers(term):
                message = (
                    f"got {term.loss.name!r}, which reads layers: scheme {scheme!r} shows none"
                )
                yield (*step.key, "losses", index), message


def _untaught(taught: Sequence[Distillation]) -> Iterator[Fault]:
    """A student learns to answer from a loss on its answers, or answers through its teacher's classifier.

    Where layers are not shown all losses are on answers.
    """
    for step in taught:
        read = {name for term in step.losses for name in needs(term.loss.find_member(LOSSES))}
        answers = any((s.side, s.source) == ("student", "labels") for s in map(find_signal, read))
        if not answers and not find_reuse_term(step.losses):
            names = ", ".join(term.loss.name for term in step.losses)
            verb = "leave" if len(step.losses) > 1 else "leaves"
            message = (
                f"got [{names}], which {verb} the classifier untaught, "
                "want a loss on logits beside, such as cross-entropy"
            )
            yield (*step.key, "losses"), message


def _several(taught: Sequence[Distillation]) -> Iterator[Fault]:
    """A scheme that chooses among teachers, or learns only what is new, must be given that."""
    for step in taught:
        name = step.words.scheme.name
        if "teacher_functions" in step.asks and len(step.words.teachers) < 2:
            yield (*step.key, "scheme"), f"got {name!r}, want two `teachers` or more for it"
        if "old" in step.words.scheme.arguments and not step.words.only:
            yield (*step.key, "scheme"), f"got {name!r}, want `only` to name the new classes"


def _unheard(taught: Sequence[Distillation]) -> Iterator[Fault]:
    """Yield what a step says of teachers that its scheme does not ask for."""
    for step in taught:
        key, words, name = step.key, step.words, step.words.scheme.name
        heard = {PARTICIPANTS[each].of_teachers for each in step.asks} - {"nothing"}
        if not heard:
            none = f"scheme {name!r} has no teacher"
            if words.teachers != THE_TEACHER:
                yield (*key, "teachers"), f"got {words.teachers[0]!r}, want it left out: {none}"
            if words.knowledge != "auto":
                yield (*key, "knowledge"), f"got {words.knowledge!r}, want it left out: {none}"
        elif "answers" not in heard and len(words.teachers) > 1:
            second = words.teachers[1]
            yield (
                (*key, "teachers", 1),
                f"got {second!r}, want one: scheme {name!r} hears one teacher",
            )
        if words.combine != CombineSettings() and (
            "teacher_function" not in step.asks or len(words.teachers) < 2
        ):
            why = (
                "there is one teacher"
                if "teacher_function" in step.asks
                else f"scheme {name!r} combines none"
            )
            yield (*key, "combine"), f"got it, want it left out: {why}"


def _route(taught: Sequence[Distillation], teachers: Mapping[str, Teacher]) -> Iterator[Fault]:
    """A teacher whose way is followed must have kept states of it."""
    for step in taught:
        if "waypoint_functions" in step.asks:
            name = step.words.teachers[0]
            followed = teachers.get(name)
            if followed is None or not followed.waypoints or not followed.is_trained:
                want = f"want {name} to be trained here with `waypoints`, whose way it follows"
                yield (*step.key, "scheme"), f"got {step.words.scheme.name!r}, {want}"


def _peers(taught: Sequence[Distillation]) -> Iterator[Fault]:
    """Peers are built anew: beside a student that has learned already they would pull it back to chance."""
    for step in taught:
        if "build_peer" not in step.asks:
            continue
        name = step.words.scheme.name
        if step.words.inherit is not None:
            yield (*step.key, "inherit"), f"got it beside {name!r}, whose peers begin untrained"
        elif not step.starts_fresh:
            want = "want start: fresh: its peers begin untrained"
            yield (*step.key, "start"), f"got 'before' for {name!r}, {want}"


def _last(taught: Sequence[Distillation], student: NamedMember) -> Iterator[Fault]:
    """The last model that starts afresh is the student: it is what its control is compared with."""
    last = [step for step in taught if step.starts_fresh][-1:]
    for step in last:
        if step.model != student:
            want = f"want the student's, {student}: it is the last that starts afresh"
            yield (*step.key, "model"), f"got {step.model}, {want}"
