"""The step that tries all learning of a recipe on untrained networks."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from edgekd.learn.schemes import OFFLINE
from edgekd.learn.settings import Numbers
from edgekd.plan import members
from edgekd.plan import origins
from edgekd.plan import teaching
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.recipe import agreement
from edgekd.recipe.learning import Distil
from edgekd.recipe.learning import LearnStep
from edgekd.recipe.learning import Quantize
from edgekd.recipe.learning import TaughtStep
from edgekd.recipe.learning import Teacher
from edgekd.recipe.learning import step_labels
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import check
from edgekd.table import Named

LABEL = "check"
"""The step before all training."""


def rehearsal_step(recipe: Recipe, profiles: Sequence[str], options: Options) -> Step:
    """It comes before all training.

    Args:
        recipe: whose learning and deploying it tries.
        profiles: all that the student is written in.
        options: what may run.
    """
    config = check.Config(
        views=recipe.views,
        seed=recipe.seed,
        plain=tuple(_plain(recipe)),
        cases=tuple(_cases(recipe)),
        deployed=tuple(_deployed(recipe, profiles)),
    )
    return Step(
        LABEL,
        check.STAGE,
        config,
        wiring.split_inputs("train"),
        origin=_origin(recipe, options),
    )


def _plain(recipe: Recipe) -> Iterator[check.Plain]:
    """Teachers that are trained here, the control, and what is quantized."""
    for name, words in {teaching.TEACHER: recipe.teacher, **recipe.teachers}.items():
        if words.weights is None:
            yield check.Plain(
                label=teaching.teacher_label(recipe, name),
                learner=_teacher(recipe, name),
                losses=words.losses,
                batch_size=words.train.batch_size,
                only=words.only,
                auxiliary=words.train.auxiliary > 0,
            )
    own, who = _student(recipe), recipe.student
    yield check.Plain(
        label="control",
        learner=own,
        losses=who.losses,
        batch_size=who.train.batch_size,
        auxiliary=who.train.auxiliary > 0,
    )
    last = recipe.learn[-1]
    if isinstance(last, Quantize) and last.train is not None:
        yield check.Plain(
            label="quantize",
            learner=own,
            losses=last.losses,
            batch_size=last.train.batch_size,
            alone=False,
        )


def _cases(recipe: Recipe) -> Iterator[check.Case]:
    """Every step that distils, and every recovery of what a smaller student lost."""
    for label, words in zip(step_labels(recipe.learn), recipe.learn, strict=True):
        if isinstance(words, Distil):
            yield _distil(recipe, label, words)
        elif (recover := getattr(words, "recover", None)) is not None:
            yield _case(recipe, f"{label}-recover", recover, _learner(recipe, words))


def _deployed(recipe: Recipe, profiles: Sequence[str]) -> Iterator[check.Deployed]:
    """What is exported: the teacher, and the student as its builder makes it, quantized if it will be.

    Single layers are looked for only where no step splits or removes some.
    """
    opset, last = recipe.export.opset, recipe.learn[-1]
    teacher = _teacher(recipe, teaching.TEACHER)
    yield check.Deployed(label=teaching.TEACHER, network=teacher, opset=opset)
    finished = [words for words in recipe.learn if isinstance(words, Distil)][-1:]
    network = _learner(recipe, finished[0]) if finished else _student(recipe)
    numbers = None
    if isinstance(last, Quantize) and profiles:
        opset = max(opset, agreement.least_opset(recipe.learn))
        whole = all(isinstance(words, Distil | Quantize) for words in recipe.learn)
        numbers = Numbers(
            profiles=tuple(profiles),
            weight_bits=last.weight_bits,
            layer_bits=last.layer_bits if whole else {},
            float_layers=last.float_layers if whole else (),
        )
    yield check.Deployed(label="student", network=network, opset=opset, numbers=numbers)


def _distil(recipe: Recipe, label: str, words: Distil) -> check.Case:
    case = _case(recipe, label, words, _learner(recipe, words))
    more = {
        name: getattr(words, name) for name in ("scheme", "combine", "only", "inherit", "private")
    }
    if words.inherit is not None:
        more["parent"] = _teacher(recipe, words.inherit.teacher)
    return case.model_copy(update=more)


def _case(recipe: Recipe, label: str, words: TaughtStep, learner: check.Network) -> check.Case:
    return check.Case(
        label=label,
        student=learner,
        teachers=tuple(_teacher(recipe, name) for name in teaching.step_teachers(words)),
        losses=words.losses,
        scheme=OFFLINE,
        train=words.train or recipe.student.train,
    )


def _learner(recipe: Recipe, words: LearnStep) -> check.Network:
    own = words.model if isinstance(words, Distil) else None
    return _student(recipe) if own is None else _student(recipe).model_copy(update={"model": own})


def _student(recipe: Recipe) -> check.Network:
    who = recipe.student
    return check.Network(model=who.model, input=who.input, norm=who.norm)


def _teacher(recipe: Recipe, name: str) -> check.Network:
    """A teacher of the recipe, or the student of an earlier step."""
    who: Teacher | None = {teaching.TEACHER: recipe.teacher, **recipe.teachers}.get(name)
    if who is not None:
        return check.Network(model=who.model, input=who.input, classes=who.classes)
    return _learner(recipe, recipe.learn[step_labels(recipe.learn).index(name)])


def _origin(recipe: Recipe, options: Options) -> Callable[[], dict[str, str]] | None:
    """Of all models that are built, all losses and all schemes."""
    teachers = (recipe.teacher, *recipe.teachers.values())
    models: list[Named] = [recipe.student.model, *(who.model for who in teachers)]
    distils = [step for step in recipe.learn if isinstance(step, Distil)]
    models += [step.model for step in distils if step.model is not None]
    return origins.join(
        *(origins.model_origin(model, options) for model in models),
        origins.of_losses(members.terms(recipe).values(), options),
        *(origins.of_scheme(step.scheme, options) for step in distils),
    )
