"""What a teacher can teach that reads the same texts by another tokenizer than the student's."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from edgekd.learn.data import PAIRING
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Term
from edgekd.learn.settings import find_reuse_term
from edgekd.learn.signals import needs
from edgekd.named_member import NamedMember
from edgekd.recipe.learning import Teacher
from edgekd.recipe.learning import term_reads_layers
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.text import Key
from edgekd.table import find_signature

Fault = tuple[Key, str]
OWN, BYTES = "own", "bytes"
"""Of a teacher's tokenizer: the one of its pretrained model; none."""


def cuts_corpus(source: NamedMember) -> bool:
    """Return whether a source cuts running text into blocks, so that a teacher's are cut as the student's."""
    return set(PAIRING) <= {*SOURCES[source.name].supplied}


def find_fault(
    steps: Sequence[LearningStep],
    teachers: Mapping[Key, Teacher],
    source: NamedMember,
    *,
    answers_tokens: bool,
    synthesizes: bool,
    limits_sizes: bool,
) -> Fault | None:
    """Find the first thing that such a teacher cannot do: its key and a sentence; None if there is none.

    Args:
        steps: of learning.
        teachers: all of them, by their keys.
        source: of the data.
        answers_tokens: whether a model of the task has an answer to every token.
        synthesizes: whether the recipe makes samples of a teacher.
        limits_sizes: whether it asks for a speedup at sizes, which are counted in the student's tokens.
    """
    own = {key: teacher for key, teacher in teachers.items() if teacher.texts is not None}
    of_size = {key: "budget.speedup holds at measure.sizes" for key in own if limits_sizes}
    want = "want one of them left out: sizes are counted in the student's tokens"
    found = (
        *(((*key, "texts"), f"got it where {each}, {want}") for key, each in of_size.items()),
        *_data(own, source, answers_tokens=answers_tokens, synthesizes=synthesizes),
        *_taught(steps, {str(key[-1]) for key in own}, answers_tokens=answers_tokens),
    )
    return next(iter(found), None)


def _data(
    own: Mapping[Key, Teacher], source: NamedMember, *, answers_tokens: bool, synthesizes: bool
) -> Iterator[Fault]:
    member = SOURCES[source.name]
    reads = member.built_in and "tokenizer" in find_signature(member).knobs.model_fields
    for key, teacher in own.items():
        assert teacher.texts is not None
        where = (*key, "texts")
        if not reads:
            yield where, f"got it for the data source {source.name!r}, which takes no tokenizer"
        if synthesizes:
            yield (
                where,
                "got it beside synthesis, want the data's tokenizer: samples are made of its tokens",
            )
        if answers_tokens and not cuts_corpus(source):
            why = "answers to its tokens are no answers to the student's"
            yield (
                where,
                f"got it for the data source {source.name!r}, want the data's tokenizer: {why}",
            )
        if cuts_corpus(source) and teacher.texts.longest is not None:
            why = "its blocks hold the text of the student's"
            yield (*where, "longest"), f"got {teacher.texts.longest}, want it left out: {why}"


def _taught(
    steps: Sequence[LearningStep], own: set[str], *, answers_tokens: bool
) -> Iterator[Fault]:
    for step in steps:
        if isinstance(step, Distillation):
            inherit = step.words.inherit
            if inherit is not None and inherit.teacher in own:
                why = "its embeddings are of other tokens"
                yield (
                    (*step.key, "inherit", "teacher"),
                    f"got {inherit.teacher!r}, want another: {why}",
                )
        heard = own.intersection(step.teachers)
        if not heard:
            continue
        name = sorted(heard)[0]
        why = f"{name} reads texts by its own tokenizer"
        for index, term in enumerate(step.losses):
            if fault := _find_loss_fault(term, answers_tokens=answers_tokens):
                yield (*step.key, "losses", index), f"got {term.loss.name!r}, which {fault}: {why}"
        if isinstance(step, Distillation):
            yield from _step(step, why)
        if answers_tokens and (len(step.teachers) > 1 or not isinstance(step, Distillation)):
            want = "want it to teach alone: answers to other tokens have no mean"
            yield (*step.key, "teachers"), f"got {name!r} beside others, {want}"


def _step(step: Distillation, why: str) -> Iterator[Fault]:
    scheme = step.words.scheme.name
    if not SCHEMES[scheme].sees_batch_once:
        want = "want 'offline': what else a student is shown is not at hand in other tokens"
        yield (*step.key, "scheme"), f"got {scheme!r}, {want}; {why}"
    if step.words.only:
        yield (*step.key, "only"), f"got it, want it left out: samples are numbered anew, and {why}"
    if step.words.private is not None:
        yield (*step.key, "private"), f"got it, want it left out: {why}"


def _find_loss_fault(term: Term, *, answers_tokens: bool) -> str:
    """What a loss wants of such a teacher that there is not, as the rest of a sentence; empty if there is all."""
    member = term.loss.find_member(LOSSES)
    if term_reads_layers(term, "teacher") or find_reuse_term((term,)) is not None:
        return "reads its layers, want a loss on answers"
    if answers_tokens and term.standardize:
        return "is to compare z-scores, want it without standardize"
    compares = "teacher_logits" in needs(member)
    if answers_tokens and compares and member.built_in and not member.across_vocabularies:
        able = [name for name, each in LOSSES.items() if each.across_vocabularies]
        return f"compares token with token, want {', '.join(able)} (edgekd methods {able[0]})"
    return ""
