"""The step that tries every loss of a recipe on untrained networks."""

from __future__ import annotations

from edgekd.plan import origins
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Distil
from edgekd.recipe.learning import LearnStep
from edgekd.recipe.learning import labels
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import check

TAKES = {"data": ("data", "data.json"), "train_labels": ("data", "train_labels")}


def step(recipe: Recipe, options: Options) -> Step:
    """It comes before all training."""
    names = labels(recipe.learn)
    cases = [
        _case(recipe, name, words)
        for name, words in zip(names, recipe.learn, strict=True)
        if isinstance(words, Distil)
    ]
    origin = origins.of_model(recipe.student.model, options)
    return Step("check", check.STAGE, check.Config(cases=tuple(cases)), TAKES, origin=origin)


def _case(recipe: Recipe, name: str, words: Distil) -> check.Case:
    training = words.train or recipe.student.train
    return check.Case(
        label=name,
        student=_learner(recipe, words),
        teacher=_teacher(recipe, words.teachers[0]),
        losses=words.losses,
        batch_size=training.batch_size,
    )


def _learner(recipe: Recipe, words: LearnStep) -> check.Network:
    own = words.model if isinstance(words, Distil) else None
    return check.Network(
        model=own or recipe.student.model, input=recipe.student.input, norm=recipe.student.norm
    )


def _teacher(recipe: Recipe, name: str) -> check.Network:
    """A teacher of the recipe, or the student of an earlier step."""
    who = {"teacher": recipe.teacher, **recipe.teachers}.get(name)
    if who is not None:
        return check.Network(model=who.model, input=who.input, classes=who.classes)
    return _learner(recipe, recipe.learn[labels(recipe.learn).index(name)])
