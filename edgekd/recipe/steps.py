"""A recipe's steps of learning, each resolved once: its name, its place, and all that the recipe leaves unsaid."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import Literal

from edgekd.learn.losses import LOSSES
from edgekd.learn.model_settings import ModelChoice
from edgekd.learn.quantize_settings import BLOCK_RATE
from edgekd.learn.schemes import OFFLINE
from edgekd.learn.schemes import PARTICIPANTS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.settings import find_reuse_term
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import needs
from edgekd.recipe.learning import THE_STUDENT
from edgekd.recipe.learning import THE_TEACHER
from edgekd.recipe.learning import DistilStep
from edgekd.recipe.learning import FactorizeStep
from edgekd.recipe.learning import LearnStep
from edgekd.recipe.learning import PruneStep
from edgekd.recipe.learning import QuantizeStep
from edgekd.recipe.learning import Student
from edgekd.recipe.learning import term_reads_layers
from edgekd.recipe.text import Key
from edgekd.table import find_signature

LENGTHS_VARY = "answers are as long as their texts, and `knowledge` does not say how one is stored"
"""Why a task's answers are no array of one size."""
OTHER_TOKENS = "it answers to the tokens of its own tokenizer"
"""Why a teacher's answers to tokens are not stored for its student's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningStep:
    """One step of learning."""

    label: str
    """Its name in the run, numbered where a recipe has several of its kind: ``distil-1``."""
    key: Key
    """Where the recipe says it."""
    words: DistilStep | FactorizeStep | PruneStep | QuantizeStep
    """What it says."""
    is_recovery: bool = False
    """Whether it gives a smaller student back what that lost."""
    losses: tuple[Term, ...] = ()
    """What it is taught by; of a quantized student none where the task says it."""
    teachers: tuple[str, ...] = ()
    """Who teaches: the recipe's teachers, the student as it was loaded, and earlier steps by their labels."""
    answers: Literal["stored", "online", "none"] = "none"
    """How they answer."""
    changes_layers: bool = False
    """Whether it leaves a student with other layers than its builder's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation(LearningStep):
    """A student learns: a step of the recipe, or the recovery of a smaller student."""

    words: DistilStep
    """Of a recovery all that it cannot say is as usual."""
    model: ModelChoice
    has_own_model: bool
    """Whether that is not the student's: an assistant."""
    train: Training
    asks: tuple[str, ...]
    """What its scheme takes."""
    why_online: str
    """Why its teachers must be there themselves; empty where what is stored of them is enough."""
    reads_stored_layers: bool = False
    """Whether it reads layers of its first teacher that are stored beside the answers."""
    may_store_layers: bool = False
    """Whether it could: else there is no loss that reads any, or the teacher must be there anyway."""
    starts_fresh: bool
    """Whether it starts from the student as the recipe gives it, new or loaded, or from its teacher's weights, not from
    the step before."""

    @property
    def is_taught(self) -> bool:
        """Whether more than labels teach, so that a control tells what that brings."""
        return bool(self.teachers) or self.words.scheme.name != OFFLINE.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction(LearningStep):
    """A student loses layers' parts or channels."""

    words: FactorizeStep | PruneStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization(LearningStep):
    """A student computes in few bits."""

    words: QuantizeStep


def resolve_steps(
    learn: Sequence[LearnStep],
    student: Student,
    *,
    has_teacher: bool = True,
    synthesizes: bool = False,
    lengths_vary: bool = False,
    stores_places: bool = False,
    own_texts: Collection[str] = (),
) -> tuple[LearningStep, ...]:
    """Resolve the steps of a recipe, in order; what recovers a smaller student is a step of its own after it.

    Args:
        learn: what the recipe says.
        student: the small model, and how it is trained where a step does not say.
        has_teacher: whether the recipe has one. Where it has none and a step names none, labels alone teach if the
            losses want no more; what was made smaller recovers by what it was; a quantized student hears itself.
        synthesizes: whether samples are a teacher's, who then has said what it thinks: it is asked again where a loss
            compares with its answers, or the step names it.
        lengths_vary: whether answers are as long as their texts: then teachers answer live.
        stores_places: unless the recipe says how an answer to one token is stored; layers are live anyway.
        own_texts: teachers that read other tokens of a text than the student: their answers to them are live, and what is
            quantized does not hear them unless it says so.
    """
    steps = _resolve(learn, student, has_teacher, synthesizes)
    if not lengths_vary:
        return tuple(steps)
    settled = (_leave_out(step, own_texts) for step in steps)
    return tuple(
        _ask_live(step, OTHER_TOKENS)
        if {*own_texts}.intersection(step.teachers)
        else step
        if stores_places and _reads_answers(step)
        else _ask_live(step, LENGTHS_VARY)
        for step in settled
    )


def _leave_out(step: LearningStep, own_texts: Collection[str]) -> LearningStep:
    """The step that quantizes, without a teacher that it does not name and that reads other tokens."""
    said = "teachers" in step.words.model_fields_set
    if not isinstance(step, Quantization) or said or not {*own_texts}.intersection(step.teachers):
        return step
    words = step.words.model_copy(update={"teachers": THE_STUDENT})
    return replace(step, words=words, teachers=(), answers="none")


def _reads_answers(step: LearningStep) -> bool:
    """Whether what a step reads of its teachers are answers alone."""
    return not (isinstance(step, Distillation) and (step.may_store_layers or step.why_online))


def _ask_live(step: LearningStep, reason: str) -> LearningStep:
    """The step whose teachers answer each batch at that batch's length; what it says itself stays, to be refused."""
    if isinstance(step, Distillation) and step.answers != "none":
        live: dict[str, Any] = {"reads_stored_layers": False, "may_store_layers": False}
        why = step.why_online if not step.may_store_layers else ""
        return replace(step, answers="online", why_online=why or reason, **live)
    if isinstance(step, Quantization) and step.answers == "stored":
        said = "knowledge" in step.words.model_fields_set
        words = step.words if said else step.words.model_copy(update={"knowledge": "online"})
        return replace(step, answers="online", words=words)
    return step


def _resolve(
    learn: Sequence[LearnStep], student: Student, has_teacher: bool, synthesizes: bool
) -> Iterator[LearningStep]:
    names = [words.step for words in learn]
    larger = (
        THE_STUDENT  # what a smaller student was before: as it was loaded, or as it learned last
    )
    for number, (name, words) in enumerate(zip(names, learn, strict=True)):
        label = name if names.count(name) == 1 else f"{name}-{names[: number + 1].count(name)}"
        key: Key = ("learn", number)
        if isinstance(words, DistilStep):
            is_asked = has_teacher and not synthesizes
            said = words if is_asked else _without_teacher(words, THE_TEACHER)
            larger = (label,)
            yield _distillation(label, key, said, student, is_recovery=False)
        elif isinstance(words, QuantizeStep):
            yield _quantization(label, key, words, has_teacher, student)
        else:
            yield Reduction(label=label, key=key, words=words, changes_layers=True)
            if words.recover is not None:
                said = DistilStep(step="distil", **dict(words.recover))
                if not has_teacher:
                    said = _without_teacher(said, larger)
                within = (*key, "recover")
                yield _distillation(f"{label}-recover", within, said, student, is_recovery=True)


def _without_teacher(words: DistilStep, otherwise: tuple[str, ...]) -> DistilStep:
    """A step of a recipe whose teacher has nothing to say beside labels: where it names none, nobody, if its losses compare
    with none, or else `otherwise`."""
    if "teachers" in words.model_fields_set:
        return words
    read = {name for term in words.losses for name in needs(term.loss.find_member(LOSSES))}
    compares = any(find_signal(name).side == "teacher" for name in read)
    nobody = words.scheme.name == OFFLINE.name and not compares
    teachers = () if nobody else otherwise
    return words if teachers == words.teachers else words.model_copy(update={"teachers": teachers})


def _distillation(
    label: str, key: Key, words: DistilStep, student: Student, *, is_recovery: bool
) -> Distillation:
    asks = find_signature(SCHEMES[words.scheme.name]).positional
    taken = [PARTICIPANTS[name] for name in asks]
    hears = bool(words.teachers) and any(each.of_teachers == "answers" for each in taken)
    why = [f"the scheme {each.why}" for each in taken if each.of_teachers == "models"]
    why += ["`only` numbers the samples anew"] if words.only and hears else []
    inside = [term.loss.name for term in words.losses if term_reads_layers(term, "teacher")]
    reused = find_reuse_term(words.losses)
    why += [f"loss {reused.loss.name} takes its classifier"] if reused is not None else []
    why += _compare_all(words.losses)
    may_store = bool(inside and hears and not why)
    if inside and not (may_store and words.knowledge == "stored"):
        why.append(f"loss {inside[0]} reads its layers")
    answers: Literal["stored", "online", "none"] = "none"
    if why or hears:
        answers = "online" if why or words.knowledge == "online" else "stored"
    own = words.model is not None or words.inherit is not None
    first = key == ("learn", 0)
    return Distillation(
        label=label,
        key=key,
        losses=words.losses,
        teachers=words.teachers if answers != "none" else (),
        answers=answers,
        changes_layers=find_reuse_term(words.losses) is not None,
        words=words,
        model=words.model or student.model,
        has_own_model=words.model is not None,
        train=words.train or student.train,
        asks=asks,
        why_online=next(iter(why), ""),
        reads_stored_layers=may_store and answers == "stored",
        may_store_layers=may_store,
        starts_fresh=first or words.start == "fresh" or own,
        is_recovery=is_recovery,
    )


def _quantization(
    label: str, key: Key, words: QuantizeStep, has_teacher: bool, student: Student
) -> LearningStep:
    """A quantized student hears the recipe's teacher where it learns and names it; itself it hears anyway. A user's
    file is calibrated and learns only where the recipe says how."""
    if student.is_file and "train" not in words.model_fields_set:
        words = words.model_copy(update={"train": None})
    elif words.weights is not None and words.train is not None:
        said = words.train.model_fields_set
        if "learning_rate" not in said:
            rate = {"learning_rate": BLOCK_RATE}
            words = words.model_copy(update={"train": words.train.model_copy(update=rate)})
    if not has_teacher and "teachers" not in words.model_fields_set:
        words = words.model_copy(update={"teachers": THE_STUDENT})
    heard = words.train is not None and THE_TEACHER[0] in words.teachers
    step = Quantization(
        label=label,
        key=key,
        losses=words.losses,
        teachers=THE_TEACHER if heard else (),
        answers=words.knowledge if heard else "none",
        words=words,
    )
    why = _compare_all(words.losses)
    return _ask_live(step, why[0]) if why else step


def _compare_all(losses: Sequence[Term]) -> list[str]:
    """Why answers are not stored, of losses that compare them where a task stores none: at tokens without a label."""
    return [f"loss {term.loss.name} compares all tokens" for term in losses if term.all_tokens]


def distillations(steps: Iterable[LearningStep]) -> list[Distillation]:
    """The steps in which a student learns from teachers, recoveries among them."""
    return [step for step in steps if isinstance(step, Distillation)]


def find_quantization(steps: Sequence[LearningStep]) -> Quantization | None:
    """Find the step that quantizes, the last; None if the recipe does not."""
    return next((step for step in steps[-1:] if isinstance(step, Quantization)), None)
