"""The steps a student goes through, in the recipe's order: each goes on from the one before."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from edgekd.bench.machine import site
from edgekd.device import Device
from edgekd.plan import origins
from edgekd.plan import wiring
from edgekd.profile import PROFILES
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Distil
from edgekd.recipe.learning import Factorize
from edgekd.recipe.learning import LearnStep
from edgekd.recipe.learning import Prune
from edgekd.recipe.learning import Quantize
from edgekd.recipe.learning import Taught
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
        profiles: what the student is quantized for; one step each of their schemes.
        options: what may run.
    """
    before = ""
    for label, words in zip(_labels(recipe), recipe.learn, strict=True):
        if isinstance(words, Distil):
            start = {"start_weights": (before, "weights.safetensors")} if before else {}
            yield _taught(recipe, words, label, options, start)
            before = label
        elif isinstance(words, Factorize | Prune):
            yield _smaller(recipe, words, label, before, options.device)
            before = label
            if words.recover is not None:
                before = _recovered(label)
                yield _taught(recipe, words.recover, before, options, _start(label))
    for profile in _one_a_scheme(profiles):
        yield _quantize(recipe, profile)


def float_label(recipe: Recipe) -> str:
    """The step that makes the finished float student."""
    found = zip(recipe.learn, _labels(recipe), strict=True)
    words, label = [pair for pair in found if not isinstance(pair[0], Quantize)][-1]
    return _recovered(label) if getattr(words, "recover", None) is not None else label


def quantize_label(profile: str) -> str:
    """The step that makes the quantized student of a profile; profiles of one scheme share it."""
    return f"{QUANTIZE}-{PROFILES[profile].scheme}"


def needs_knowledge(recipe: Recipe) -> bool:
    """Whether a step reads back what the teacher answered."""
    return any(_reads_back(words) for words in recipe.learn)


def _reads_back(words: LearnStep) -> bool:
    if isinstance(words, Distil):
        return words.knowledge == "stored"
    if isinstance(words, Quantize):
        return _asks_teacher(words) and words.knowledge == "stored"
    return words.recover is not None and words.recover.knowledge == "stored"


def _labels(recipe: Recipe) -> list[str]:
    """One a step of the recipe: its name, numbered where there are several of it."""
    names = [words.step for words in recipe.learn]
    return [
        name if names.count(name) == 1 else f"{name}-{names[: number + 1].count(name)}"
        for number, name in enumerate(names)
    ]


def _recovered(label: str) -> str:
    return f"{label}-recover"


def _one_a_scheme(profiles: Sequence[str]) -> list[str]:
    return list({PROFILES[name].scheme: name for name in reversed(profiles)}.values())[::-1]


def _start(label: str) -> wiring.Takes:
    return wiring.model(label, prefix="start_")


def _taught(
    recipe: Recipe, words: Taught, label: str, options: Options, start: wiring.Takes
) -> Step:
    config = distil.Config(
        model=recipe.student.model,
        losses=words.losses,
        knowledge=words.knowledge,
        train=words.train or recipe.student.train,
        views=recipe.views,
        views_seed=recipe.seed,
    )
    takes = {
        **wiring.splits("train", "validation"),
        "resolved": ("tune-student", "resolved.json"),
        **_knowledge(words.knowledge),
        **start,
    }
    origin = origins.of_model(recipe.student.model, options)
    return Step(label, distil.STAGE, config, takes, recipe.student_seed, origin=origin)


def _knowledge(source: str) -> wiring.Takes:
    if source == "stored":
        return {"knowledge": ("knowledge", "knowledge.npy")}
    return wiring.model("teacher", prefix="teacher_")


def _smaller(recipe: Recipe, words: Any, label: str, before: str, device: Device) -> Step:
    """Factorize or prune, paid by the first target that runs there: it says what time is saved."""
    stage, said, config = SMALLER[words.step]
    unable = site.describe(device).unable
    able = [target for target in recipe.targets if unable.get(target.runtime) is None]
    target = (able or recipe.targets)[0]
    settings = config(
        **_said(words, said),
        runtime=target.runtime,
        threads=target.threads[0],
        quantized=recipe.learn[-1].step == QUANTIZE,
    )
    takes = {**wiring.splits("train", "validation"), **_start(before)}
    return Step(label, stage, settings, takes, recipe.student_seed)


def _quantize(recipe: Recipe, profile: str) -> Step:
    words = recipe.learn[-1]
    assert isinstance(words, Quantize)  # there is no profile otherwise
    config = quantize.Config(
        **_said(words, quantize.Words),
        scheme=PROFILES[profile].scheme,
        views=recipe.views,
        views_seed=recipe.seed,
    )
    takes = {
        **wiring.splits("train", "validation"),
        "resolved": ("tune-student", "resolved.json"),
        **_start(float_label(recipe)),
    }
    if _asks_teacher(words):
        takes |= _knowledge(words.knowledge)
    return Step(quantize_label(profile), quantize.STAGE, config, takes, recipe.student_seed)


def _asks_teacher(words: Quantize) -> bool:
    return words.train is not None and "teacher" in words.teachers


def _said(words: Settings, kind: type[Settings]) -> dict[str, Any]:
    """What a recipe says of a step, without what is the plan's own."""
    return {name: getattr(words, name) for name in kind.model_fields}
