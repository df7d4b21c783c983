"""The steps a student goes through, in the recipe's order: each goes on from the one before."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from edgekd.bench.machine import host
from edgekd.device import Device
from edgekd.learn.settings import find_reuse_term
from edgekd.plan import learning
from edgekd.plan import origins
from edgekd.plan import teaching
from edgekd.plan import wiring
from edgekd.profile import PROFILES
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Distil
from edgekd.recipe.learning import Factorize
from edgekd.recipe.learning import LearnStep
from edgekd.recipe.learning import Prune
from edgekd.recipe.learning import Quantize
from edgekd.recipe.learning import TaughtStep
from edgekd.recipe.learning import answer_source
from edgekd.recipe.learning import starts_fresh
from edgekd.recipe.learning import step_labels
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.stages import distil
from edgekd.stages import factorize
from edgekd.stages import prune
from edgekd.stages import quantize

QUANTIZE = "quantize"
SMALLER: dict[str, tuple[Stage, type[Settings], type[Any]]] = {
    "factorize": (factorize.STAGE, factorize.Words, factorize.Config),
    "prune": (prune.STAGE, prune.Words, prune.Config),
}
"""What makes a student smaller by what the device says: its stage, a recipe's words, its settings."""


def steps(recipe: Recipe, profiles: Sequence[str], options: Options) -> Iterator[Step]:
    """All of them, in order.

    Args:
        recipe: what is carried out.
        profiles: what the student is quantized for; one step for each of their numerics.
        options: what may run.
    """
    before = ""
    for number, (label, words) in enumerate(
        zip(step_labels(recipe.learn), recipe.learn, strict=True)
    ):
        yield from teaching.knowledge_steps(recipe, number)
        if isinstance(words, Distil):
            yield from _distilled(recipe, number, before, options)
            before = label
        elif isinstance(words, Factorize | Prune):
            yield _smaller(recipe, words, label, before, options.device)
            before = label
            if words.recover is not None:
                before = _recovered(label)
                yield _taught(recipe, words.recover, before, options, _start(label))
    for profile in _one_per_numerics(profiles):
        yield _quantize(recipe, profile, options)


def float_label(recipe: Recipe) -> str:
    """The step that makes the finished float student."""
    found = zip(recipe.learn, step_labels(recipe.learn), strict=True)
    words, label = [pair for pair in found if not isinstance(pair[0], Quantize)][-1]
    return _recovered(label) if getattr(words, "recover", None) is not None else label


def quantize_label(profile: str) -> str:
    """The step that makes the quantized student of a profile; profiles with the same numerics share it."""
    return f"{QUANTIZE}-{PROFILES[profile].numerics}"


def _recovered(label: str) -> str:
    return f"{label}-recover"


def _one_per_numerics(profiles: Sequence[str]) -> list[str]:
    return list({PROFILES[name].numerics: name for name in reversed(profiles)}.values())[::-1]


def _start(label: str) -> wiring.Takes:
    return wiring.model_inputs(label, prefix="start_")


def _distilled(recipe: Recipe, number: int, before: str, options: Options) -> Iterator[Step]:
    """One step of distillation; before it the arithmetic of a model that is not the student's."""
    words, label = recipe.learn[number], step_labels(recipe.learn)[number]
    assert isinstance(words, Distil)
    if words.model is not None:
        training = words.train or recipe.student.train
        yield learning.tuning_step(
            f"tune-{label}", words.model, recipe.student.input, training, options
        )
    start = _goes_on(recipe, number, before)
    yield _taught(recipe, words, label, options, start)


def _goes_on(recipe: Recipe, number: int, before: str) -> wiring.Takes:
    """What a step starts from; nothing if it starts afresh."""
    words = recipe.learn[number]
    if isinstance(words, Distil) and words.inherit is not None:
        return wiring.model_inputs(
            teaching.teacher_label(recipe, words.inherit.teacher), prefix="inherit_"
        )
    if starts_fresh(recipe.learn, number):
        return {}
    if any(_changes(earlier) for earlier in recipe.learn[:number]):
        return _start(before)
    return {"start_weights": (before, "weights.safetensors")}


def _changes(words: LearnStep) -> bool:
    """Whether a step leaves a student with other layers than its builder's."""
    return isinstance(words, Distil) and find_reuse_term(words.losses) is not None


def _taught(
    recipe: Recipe, words: TaughtStep, label: str, options: Options, start: wiring.Takes
) -> Step:
    own = isinstance(words, Distil) and words.model is not None
    model = words.model if isinstance(words, Distil) and words.model else recipe.student.model
    known = answer_source(words)
    more = (
        {name: getattr(words, name) for name in ("scheme", "only", "inherit", "private", "combine")}
        if isinstance(words, Distil)
        else {}
    )
    config = distil.Config(
        model=model,
        losses=words.losses,
        knowledge="online" if known == "online" else "stored",
        train=words.train or recipe.student.train,
        views=recipe.views,
        views_seed=recipe.seed,
        input=recipe.student.input,
        norm=recipe.student.norm,
        **more,
    )
    takes = {
        **wiring.training_inputs(recipe),
        "resolved": (f"tune-{label}" if own else teaching.STUDENT_TUNED, "resolved.json"),
        **teaching.teacher_inputs(recipe, words),
        **start,
    }
    counts = ("opacus",) if getattr(words, "private", None) is not None else ()
    origin = origins.join(
        origins.add_packages(origins.model_origin(model, options), *counts),
        origins.of_losses(words.losses, options),
        origins.of_scheme(config.scheme, options),
    )
    return Step(label, distil.STAGE, config, takes, recipe.student_seed, origin=origin)


def _smaller(recipe: Recipe, words: Any, label: str, before: str, device: Device) -> Step:
    """Factorize or prune, paid by the first target that runs there: it says what time is saved."""
    stage, said, config = SMALLER[words.step]
    unable = host.why_no_engine((target.runtime for target in recipe.targets), device, run=True)
    able = [target for target in recipe.targets if unable[target.runtime] is None]
    target = (able or recipe.targets)[0]
    settings = config(
        **_said(words, said),
        runtime=target.runtime,
        threads=target.threads[0],
        quantized=recipe.learn[-1].step == QUANTIZE,
    )
    takes = {**wiring.training_inputs(recipe), **_start(before)}
    origin = origins.of_engines((target.runtime,), device)
    return Step(label, stage, settings, takes, recipe.student_seed, origin=origin)


def _quantize(recipe: Recipe, profile: str, options: Options) -> Step:
    words = recipe.learn[-1]
    assert isinstance(words, Quantize)  # there is no profile otherwise
    config = quantize.Config(
        **_said(words, quantize.Words),
        scheme=PROFILES[profile].numerics,
        views=recipe.views,
        views_seed=recipe.seed,
    )
    takes = {
        **wiring.training_inputs(recipe),
        "resolved": ("tune-student", "resolved.json"),
        **_start(float_label(recipe)),
    }
    if teaching.asks_teacher(words):
        takes |= _teacher(words)
    origin = origins.of_losses(words.losses, options) if words.train is not None else None
    label = quantize_label(profile)
    return Step(label, quantize.STAGE, config, takes, recipe.student_seed, origin=origin)


def _teacher(words: Quantize) -> wiring.Takes:
    if words.knowledge == "stored":
        return {"knowledge": (teaching.knowledge_label(teaching.TEACHER), "knowledge.npy")}
    return wiring.model_inputs(teaching.TEACHER, prefix="teacher_")


def _said(words: Settings, kind: type[Settings]) -> dict[str, Any]:
    """What a recipe says of a step, without what is the plan's own."""
    return {name: getattr(words, name) for name in kind.model_fields}
