"""The steps before the student learns: data, arithmetic, teachers, control."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgekd.bench.roles import CONTROL
from edgekd.cores import count_cores
from edgekd.launch.environment import read_launch
from edgekd.learn.compiler import find_compiler
from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelChoice
from edgekd.learn.settings import Training
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.plan import loading
from edgekd.plan import origins
from edgekd.plan import own_texts
from edgekd.plan import pretrained_models
from edgekd.plan import rehearsal
from edgekd.plan import roles
from edgekd.plan import teaching
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Student
from edgekd.recipe.learning import Teacher
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import data
from edgekd.stages import synthesize
from edgekd.stages import train
from edgekd.stages import tune
from edgekd.stages.synthesize import PROMPTS
from edgekd.table import find_signature
from edgekd.tokenizer import FILE as TOKENIZER


def steps(
    recipe: Recipe, folder: Path, profiles: Sequence[str], options: Options
) -> Iterator[Step]:
    """All of them, in order.

    Args:
        recipe: what is carried out.
        folder: what its paths are relative to.
        profiles: all that the student is written in.
        options: where data lies and what may run.
    """
    teachers = recipe.named_teachers
    names = {teaching.teacher_label(recipe, name): name for name in teachers}
    labelled = {label: teachers[name] for label, name in names.items()}
    loaded = {label: words for label, words in labelled.items() if words.has_weights}
    trained = {label: words for label, words in labelled.items() if words.is_trained}
    who = recipe.student
    # What is only read comes first: a file that is no good costs neither data work, nor a trial, nor training.
    found: dict[str, Teacher | Student] = dict(loaded)
    if who.has_weights:
        found[roles.LOADED] = who
    for label, each in found.items():
        yield loading.open_step(recipe, each, f"open-{label}", folder, options)
    yield _data(recipe, folder, options)
    make_data = functools.partial(_data, recipe, folder, options)
    yield from own_texts.steps(recipe, make_data, options)
    for label, words in loaded.items():
        further, seed = label in trained, recipe.seed
        made = loading_label(label) if further else label
        yield loading.load_step(
            recipe,
            words,
            made,
            folder,
            options,
            seed=seed,
            for_training=further,
            name=names[label],
        )
    if who.has_weights:
        further = not roles.begins_finished(recipe)
        seed = recipe.student_seed
        made = roles.LOADED
        yield loading.load_step(recipe, who, made, folder, options, seed=seed, for_training=further)
    yield rehearsal.rehearsal_step(recipe, profiles, options)
    for label, words in trained.items():
        own = own_texts.find_label(recipe, names[label])
        yield tuning_step(f"tune-{label}", words.model, words.input, words.training, options, own)
    yield tuning_step(teaching.STUDENT_TUNED, who.model, who.input, who.train, options)
    for label, words in trained.items():
        yield _train(recipe, words, label, options, own_texts.find_label(recipe, names[label]))
    if roles.has_control(recipe):
        yield _train(recipe, who, CONTROL, options)
    if recipe.synthesis is not None:
        yield _synthesized(recipe)


def loading_label(label: str) -> str:
    """The step that loads what the step of that label then trains further."""
    return f"load-{label}"


def threads(training: Training) -> int:
    """The threads a training run uses: the recipe's, else every core this process may use, shared with the other ranks
    of this machine."""
    return training.threads or max(1, count_cores() // read_launch().local_size)


def _data(
    recipe: Recipe,
    folder: Path,
    options: Options,
    label: str = "data",
    change: Mapping[str, Any] = MappingProxyType({}),
) -> Step:
    """The data as the student reads them; or of another label, and with what `change` says, as a teacher does."""
    published = pretrained_models.find_per_channel(recipe, options)
    said = {**dict(recipe.data), "task": recipe.task, **published, **change}
    config = data.DataConfig(**said)
    origin: origins.Origin | None = functools.partial(
        data.digest_source,
        config,
        data_dir=options.data_dir,
        allow_code=options.allow_code,
        allow_download=options.allow_download and not options.dry,
        cache=options.store / "digests.json",
        renew=not options.dry,
        progress=options.progress,
    )
    answering = recipe.answering_file
    external = {} if answering is None else {data.MODEL_FILE: folder / answering}
    for path in external.values():
        origin = origins.join(origin, origins.of_file(path))
    return Step(label, data.STAGE, config, {}, recipe.seed, external=external, origin=origin)


def _synthesized(recipe: Recipe) -> Step:
    assert recipe.synthesis is not None
    takes = {
        "data": ("data", "data.json"),
        **wiring.model_inputs(teaching.TEACHER),
        "resolved": (teaching.tuning_label(recipe, teaching.TEACHER), "resolved.json"),
    }
    if PROMPTS in find_signature(SYNTHESIZERS[recipe.synthesis.method.name]).positional:
        takes |= wiring.split_inputs("train")
    if recipe.data.source.arguments.get("tokenizer"):
        takes[TOKENIZER] = ("data", TOKENIZER)
    return Step(wiring.SYNTHESIZE, synthesize.STAGE, recipe.synthesis, takes, recipe.seed)


def tuning_step(
    label: str,
    model: ModelChoice,
    seen: Input | None,
    training: Training,
    options: Options,
    data_label: str = "data",
) -> Step:
    """In which arithmetic a model is trained, measured where the recipe leaves it open."""
    compiles: tune.CompileChoice = training.compile if training.compile is not None else False
    if training.compile is None and training.precision == "auto":  # else its bytes are wanted
        compiles = "gpu"
    config = tune.TuneConfig(
        model=model,
        batch_size=training.batch_size,
        precision=training.precision,
        channels_last=training.channels_last,
        threads=threads(training),
        input=seen,
        epochs=_round_epochs(training.epochs),
        compile=compiles,
        compiler=find_compiler() if compiles else None,
    )
    takes = {"data": (data_label, "data.json")}
    return Step(label, tune.STAGE, config, takes, origin=origins.model_origin(model, options))


def _round_epochs(epochs: int) -> int | None:
    """A power of two that is no more, for one trial to serve trainings of about one length; None where the trial is short
    beside any of so many."""
    return None if epochs >= tune.MANY_EPOCHS else 2 ** int(math.log2(epochs))


def _train(
    recipe: Recipe, who: Teacher | Student, label: str, options: Options, data_label: str = "data"
) -> Step:
    teaches = isinstance(who, Teacher)
    views = who.views if isinstance(who, Teacher) else None
    config = train.TrainConfig(
        model=who.model,
        losses=who.losses,
        train=who.training if isinstance(who, Teacher) else who.train,
        views=views or recipe.views,
        views_seed=recipe.seed,
        input=who.input,
        norm=who.norm if isinstance(who, Student) else "batch",
        waypoints=who.waypoints if isinstance(who, Teacher) else 0,
        only=who.only if isinstance(who, Teacher) else (),
        counts_unlabelled=not teaches,
    )
    tuned = f"tune-{label}" if teaches else teaching.STUDENT_TUNED
    splits = wiring.split_inputs("train", "validation", label=data_label)
    takes = {**splits, "resolved": (tuned, "resolved.json")}
    if who.has_weights:
        takes |= wiring.model_inputs(
            loading_label(label) if teaches else roles.LOADED, prefix="start_"
        )
    seed = recipe.seed if teaches else recipe.student_seed
    origin = origins.join(
        origins.model_origin(who.model, options), origins.of_losses(who.losses, options)
    )
    return Step(label, train.STAGE, config, takes, seed, origin=origin)
