"""The steps a student goes through, in the recipe's order: each goes on from the one before."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from edgekd.bench.machine import host
from edgekd.device import Device
from edgekd.learn.quantize_settings import QuantizeSettings
from edgekd.plan import learning
from edgekd.plan import origins
from edgekd.plan import roles
from edgekd.plan import teaching
from edgekd.plan import wiring
from edgekd.profile import PROFILES
from edgekd.recipe import Recipe
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import Quantization
from edgekd.recipe.steps import Reduction
from edgekd.recipe.steps import distillations
from edgekd.recipe.steps import find_quantization
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
    "factorize": (factorize.STAGE, factorize.FactorizeSettings, factorize.FactorizeConfig),
    "prune": (prune.STAGE, prune.PruneSettings, prune.PruneConfig),
}
"""What makes a student smaller by what the device says: its stage, a recipe's words, its settings."""


def steps(recipe: Recipe, profiles: Sequence[str], options: Options) -> Iterator[Step]:
    """All of them, in order.

    Args:
        recipe: what is carried out.
        profiles: what the student is quantized for; one step for each of their numerics.
        options: what may run.
    """
    learned = recipe.steps
    for number, step in enumerate(learned):
        earlier = learned[:number]
        yield from teaching.knowledge_steps(recipe, step, earlier)
        if isinstance(step, Distillation):
            yield from _distil(recipe, step, earlier, options)
        elif isinstance(step, Reduction):
            yield _reduce(recipe, step, _before(earlier), options.device)
        elif isinstance(step, Quantization):
            for profile in _one_per_numerics(profiles):
                yield _quantize(recipe, step, profile, options)


def _before(earlier: Sequence[LearningStep]) -> str:
    """The step whose student the next one takes."""
    return earlier[-1].label if earlier else roles.LOADED


def quantize_labels() -> dict[str, str]:
    """The steps that may quantize the student, by their numerics."""
    return {profile.numerics: quantize_label(name) for name, profile in PROFILES.items()}


def quantize_label(profile: str) -> str:
    """The step that makes the quantized student of a profile; profiles with the same numerics share it."""
    return f"{QUANTIZE}-{PROFILES[profile].numerics}"


def _one_per_numerics(profiles: Sequence[str]) -> list[str]:
    return list({PROFILES[name].numerics: name for name in reversed(profiles)}.values())[::-1]


def _start(label: str) -> wiring.Takes:
    return wiring.model_inputs(label, prefix="start_")


def _distil(
    recipe: Recipe, step: Distillation, earlier: Sequence[LearningStep], options: Options
) -> Iterator[Step]:
    """One step of distillation; before it the arithmetic of a model that is not the student's."""
    words, tuned = step.words, teaching.learner_tuning_label(step)
    if step.has_own_model:
        yield learning.tuning_step(tuned, step.model, recipe.student.input, step.train, options)
    config = distil.DistilConfig(
        model=step.model,
        losses=step.losses,
        knowledge="online" if step.answers == "online" else "stored",
        train=step.train,
        views=recipe.views,
        views_seed=recipe.seed,
        input=recipe.student.input,
        norm=recipe.student.norm,
        scheme=words.scheme,
        only=words.only,
        inherit=words.inherit,
        private=words.private,
        combine=words.combine,
        sharded=teaching.find_sharded(recipe, step),
    )
    takes = {
        **wiring.training_inputs(recipe),
        "resolved": (tuned, "resolved.json"),
        **teaching.teacher_inputs(recipe, step),
        **_goes_on(recipe, step, earlier),
        **_lost_from(step, earlier),
    }
    counts = ("opacus",) if words.private is not None else ()
    origin = origins.join(
        origins.add_packages(origins.model_origin(step.model, options), *counts),
        origins.of_losses(step.losses, options),
        origins.of_scheme(words.scheme, options),
    )
    yield Step(step.label, distil.STAGE, config, takes, recipe.student_seed, origin=origin)


def _goes_on(recipe: Recipe, step: Distillation, earlier: Sequence[LearningStep]) -> wiring.Takes:
    """Return what a step starts from; nothing if it starts afresh."""
    if step.words.inherit is not None:
        parent = teaching.teacher_label(recipe, step.words.inherit.teacher)
        return wiring.model_inputs(parent, prefix="inherit_")
    loaded = recipe.student.has_weights and not step.has_own_model
    if step.starts_fresh:
        return _start(roles.LOADED) if loaded else {}
    before = _before(earlier)
    if loaded or any(other.changes_layers for other in earlier):
        return _start(before)
    return {"start_weights": (before, "weights.safetensors")}


def _lost_from(step: Distillation, earlier: Sequence[LearningStep]) -> wiring.Takes:
    """The student before it was made smaller, by which its recovery sees whether it lost anything."""
    if not step.is_recovery:
        return {}
    return wiring.model_inputs(_before(earlier[:-1]), prefix="whole_")


def _reduce(recipe: Recipe, step: Reduction, before: str, device: Device) -> Step:
    """Factorize or prune, paid by the first target that runs there: it says what time is saved."""
    stage, said, config = SMALLER[step.words.step]
    unable = host.why_no_engine((target.runtime for target in recipe.targets), device, run=True)
    able = [target for target in recipe.targets if unable[target.runtime] is None]
    target = (able or recipe.targets)[0]
    settings = config(
        **_said(step.words, said),
        runtime=target.runtime,
        threads=target.threads[0],
        quantized=find_quantization(recipe.steps) is not None,
    )
    takes = {**wiring.training_inputs(recipe), **_start(before)}
    origin = origins.of_engines((target.runtime,), device)
    return Step(step.label, stage, settings, takes, recipe.student_seed, origin=origin)


def _quantize(recipe: Recipe, step: Quantization, profile: str, options: Options) -> Step:
    words = step.words
    learns = words.train is not None or bool(distillations(recipe.steps))
    config = quantize.QuantizeConfig(
        **_said(words, QuantizeSettings),
        threads=None if learns else learning.threads(recipe.student.train),
        scheme=PROFILES[profile].numerics,
        views=recipe.views,
        views_seed=recipe.seed,
        sharded=bool(teaching.find_sharded(recipe, step)),
    )
    tuned = {"resolved": (teaching.STUDENT_TUNED, "resolved.json")}
    takes = {
        **wiring.training_inputs(recipe),
        **(tuned if learns else {}),
        **_start(roles.float_label(recipe)),
        **teaching.teacher_inputs(recipe, step),
    }
    origin = origins.of_losses(words.losses, options) if words.train is not None else None
    label = quantize_label(profile)
    return Step(label, quantize.STAGE, config, takes, recipe.student_seed, origin=origin)


def _said(words: Settings, kind: type[Settings]) -> dict[str, Any]:
    """Return what a recipe says of a step, without what is the plan's own."""
    return {name: getattr(words, name) for name in kind.model_fields}
