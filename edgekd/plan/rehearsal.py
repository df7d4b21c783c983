"""The step that tries all learning of a recipe on untrained networks."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from edgekd.bench.roles import CONTROL
from edgekd.learn.model_settings import Network
from edgekd.learn.quantize_settings import BlockSettings
from edgekd.learn.quantize_settings import NumericsSettings
from edgekd.learn.settings import ByDepth
from edgekd.learn.settings import Training
from edgekd.named_member import NamedMember
from edgekd.plan import members
from edgekd.plan import origins
from edgekd.plan import own_texts
from edgekd.plan import roles
from edgekd.plan import teaching
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.recipe import quantization
from edgekd.recipe.learning import THE_STUDENT
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import Reduction
from edgekd.recipe.steps import distillations
from edgekd.recipe.steps import find_quantization
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import check

LABEL = teaching.REHEARSAL


def rehearsal_step(recipe: Recipe, profiles: Sequence[str], options: Options) -> Step:
    """It comes before all training.

    Args:
        recipe: whose learning and deploying it tries.
        profiles: all that the student is written in.
        options: what may run.
    """
    config = check.CheckConfig(
        views=recipe.views,
        seed=recipe.seed,
        plain=tuple(_plain(recipe)),
        cases=tuple(_case(recipe, step) for step in distillations(recipe.steps)),
        deployed=tuple(_deployed(recipe, profiles)),
        sizes=recipe.measure.sizes,
        **_storage(recipe),
    )
    return Step(
        LABEL,
        check.STAGE,
        config,
        _find_splits(recipe),
        origin=_origin(recipe, options),
    )


def _find_splits(recipe: Recipe) -> wiring.Takes:
    """The training split, and beside it those of teachers that read it by their own tokenizers."""
    found = wiring.split_inputs("train")
    for name in recipe.named_teachers:
        found |= own_texts.take_beside(recipe, name, "train")
    return found


def _plain(recipe: Recipe) -> Iterator[check.PlainTraining]:
    """Teachers that are trained here, the control, and what is quantized."""
    for name, words in recipe.named_teachers.items():
        if words.is_trained:
            yield check.PlainTraining(
                label=teaching.teacher_label(recipe, name),
                learner=_teacher(recipe, name),
                losses=words.losses,
                batch_size=words.training.batch_size,
                has_usual_batch=_has_usual_batch(words.training),
                only=words.only,
                auxiliary=words.training.auxiliary > 0,
                by_depth=_by_depth(words.training),
            )
    own, who = _student(recipe), recipe.student
    if roles.has_control(recipe):
        yield check.PlainTraining(
            label=CONTROL,
            learner=own,
            losses=who.losses,
            batch_size=who.train.batch_size,
            has_usual_batch=_has_usual_batch(who.train),
            auxiliary=who.train.auxiliary > 0,
            by_depth=_by_depth(who.train),
        )
    last = find_quantization(recipe.steps)
    if last is not None and last.words.train is not None:
        yield check.PlainTraining(
            label=last.label,
            learner=own,
            losses=last.losses,
            batch_size=last.words.train.batch_size,
            has_usual_batch=_has_usual_batch(last.words.train),
            alone=False,
        )


def _storage(recipe: Recipe) -> dict[str, Any]:
    """How layers would be stored, in which form, and on how much of the disk, where a step may store any."""
    said = recipe.knowledge
    if said is None or not any(step.may_store_layers for step in distillations(recipe.steps)):
        return {}
    return {"storage": said}


def _has_usual_batch(training: Training) -> bool:
    return "batch_size" not in training.model_fields_set


def _by_depth(training: Training) -> ByDepth | None:
    """What a training says of stages and modules; None if nothing."""
    found = ByDepth(layer_decay=training.layer_decay, freeze=training.freeze)
    return None if found == ByDepth() else found


def _deployed(recipe: Recipe, profiles: Sequence[str]) -> Iterator[check.DeployedNetwork]:
    """Yield what is exported: the teacher if there is one, and the student as its builder makes it, quantized if it will be.

    Single layers are looked for only where no step splits or removes some.
    """
    opset, last = recipe.export.opset, find_quantization(recipe.steps)
    if recipe.teacher is not None and not recipe.teacher.is_file:
        teacher = _teacher(recipe, teaching.TEACHER)
        yield check.DeployedNetwork(label=teaching.TEACHER, network=teacher, opset=opset)
    numbers = None
    if last is not None and profiles:
        opset = max(opset, quantization.least_opset(recipe.steps))
        whole = not any(isinstance(step, Reduction) for step in recipe.steps)
        numbers = NumericsSettings(
            profiles=tuple(profiles),
            weight_bits=last.words.weight_bits,
            layer_bits=last.words.layer_bits if whole else {},
            float_layers=last.words.float_layers if whole else (),
            **{name: getattr(last.words, name) for name in BlockSettings.model_fields},
        )
    if recipe.student.is_file:  # the step that opens it has traced it
        return
    network = _student(recipe)
    yield check.DeployedNetwork(label="student", network=network, opset=opset, numbers=numbers)


def _case(recipe: Recipe, step: Distillation) -> check.TeachingCase:
    """Of a step that distils, or of the recovery of what a smaller student lost."""
    words, said = step.words, recipe.knowledge
    refuses = said is not None and said.layers == "pooled"  # what a step that stores none may read
    may_store = step.may_store_layers and not (refuses and words.knowledge == "online")
    return check.TeachingCase(
        label=step.label,
        student=_learner(recipe, step),
        teachers=tuple(_teacher(recipe, name) for name in step.teachers),
        parent=None if words.inherit is None else _teacher(recipe, words.inherit.teacher),
        losses=step.losses,
        scheme=words.scheme,
        train=step.train if may_store or words.private else _forget_epochs(step.train),
        combine=words.combine,
        only=words.only,
        inherit=words.inherit,
        private=words.private,
        may_store_layers=may_store,
    )


def _forget_epochs(training: Training) -> Training:
    """The training without its length, which no single step depends on: another one is rehearsed already."""
    return training.model_copy(update={"epochs": Training.model_fields["epochs"].default})


def _learner(recipe: Recipe, step: Distillation) -> Network:
    return _student(recipe).model_copy(update={"model": step.model})


def _student(recipe: Recipe) -> Network:
    who = recipe.student
    classes = who.classes if roles.begins_finished(recipe) else ()
    return Network(model=who.model, input=who.input, norm=who.norm, classes=classes)


def _teacher(recipe: Recipe, name: str) -> Network:
    """A teacher of the recipe, the student as it was loaded, or that of an earlier step."""
    who = recipe.named_teachers.get(name)
    if who is not None:
        # Of weights that are trained further the head is made for the data's classes.
        classes = () if who.is_trained else who.classes
        reads = name if who.texts is not None else ""
        return Network(model=who.model, input=who.input, classes=classes, reads=reads)
    if (name,) == THE_STUDENT:
        return _student(recipe)
    return _learner(recipe, teaching.find_step(recipe, name))


def _origin(recipe: Recipe, options: Options) -> Callable[[], dict[str, str]] | None:
    """Of all models that are built, all losses and all schemes."""
    teachers = recipe.keyed_teachers.values()
    models: list[NamedMember] = [recipe.student.model, *(who.model for who in teachers)]
    taught = distillations(recipe.steps)
    models += [step.model for step in taught if step.has_own_model]
    return origins.join(
        *(origins.model_origin(model, options) for model in models),
        origins.of_losses(members.list_terms(recipe).values(), options),
        *(origins.of_scheme(step.words.scheme, options) for step in taught),
    )
