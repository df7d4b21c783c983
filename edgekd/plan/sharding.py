"""What of a recipe is shared out over the ranks of a launch, in words for the plan."""

from __future__ import annotations

from edgekd.launch.environment import Launch
from edgekd.launch.environment import read_launch
from edgekd.plan.teaching import why_whole
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Teacher
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import Quantization
from edgekd.stages.distil import explain_whole


def describe_sharding(recipe: Recipe, launch: Launch | None = None) -> dict[str, str]:
    """By the name of a teacher or the label of a step, who holds the parameters there.

    Args:
        recipe: only what it says is sharded is told of.
        launch: the ranks; None is this process's.
    """
    size = (launch or read_launch()).size
    named, found = recipe.named_teachers, {}
    for name, teacher in named.items():
        if when := _describe_use(teacher):
            found[name] = f"{size} ranks share out its parameters while it {when}"
    for step in recipe.steps:
        heard = [name for name in step.teachers if name in named and named[name].sharded]
        words = _describe_student(step, size)
        if heard and step.answers == "online" and (why := why_whole(step)):
            words.append(f"every rank holds {', '.join(heard)} whole: {why}")
        if words:
            found[step.label] = "; ".join(words)
    if size == 1:
        return dict.fromkeys(found, "sharded: nothing is shared out without a launcher")
    return found


def _describe_use(teacher: Teacher) -> str:
    trained = teacher.is_trained and teacher.training.sharded
    return " and ".join(
        word for word, stands in (("learns", trained), ("answers", teacher.sharded)) if stands
    )


def _describe_student(step: LearningStep, size: int) -> list[str]:
    """Who holds the student that learns in a step; nothing where nobody asks for shares."""
    if isinstance(step, Quantization) and step.words.train is not None and step.words.train.sharded:
        return ["every rank holds the student whole: it is traced"]
    if not isinstance(step, Distillation) or not step.train.sharded:
        return []
    why = explain_whole(step.words.scheme, step.words.inherit)
    if why:
        return [f"every rank holds the student whole: {why}"]
    return [f"{size} ranks share out the student's parameters, gradients and moments"]
