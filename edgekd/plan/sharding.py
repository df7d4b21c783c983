"""What of a recipe is shared out over the ranks of a launch, in words for the plan."""

from __future__ import annotations

from edgekd.launch.environment import Launch
from edgekd.launch.environment import read_launch
from edgekd.plan.teaching import why_whole
from edgekd.recipe import Recipe


def describe_sharding(recipe: Recipe, launch: Launch | None = None) -> dict[str, str]:
    """By the name of a teacher, or of a step that needs one whole, who holds its parameters.

    Args:
        recipe: only what it says is sharded is told of.
        launch: the ranks; None is this process's.
    """
    size = (launch or read_launch()).size
    ranks = f"{size} ranks share out its parameters while it answers"
    found = {
        name: ranks if size > 1 else "sharded: nothing is shared out without a launcher"
        for name, each in recipe.named_teachers.items()
        if each.sharded
    }
    for step in recipe.steps:
        heard = [name for name in step.teachers if name in found]
        if heard and step.answers == "online" and (why := why_whole(step)):
            found[step.label] = f"every rank holds {', '.join(heard)} whole: {why}"
    return found
