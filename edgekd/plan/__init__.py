"""From a recipe to the list of steps that carries it out; nothing runs here."""

from __future__ import annotations

from pathlib import Path

from edgekd.plan import ablation
from edgekd.plan import checks
from edgekd.plan import deploying
from edgekd.plan import learning
from edgekd.plan import pretrained_models
from edgekd.plan import profiles
from edgekd.plan import student
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import tune


def steps(recipe: Recipe, recipe_folder: Path, options: Options) -> tuple[Step, ...]:
    """Every step from the data to the test set, in order; bundle and report come after the choice.

    Raises:
        InputError: if the recipe names code without leave to run it, or files that are not there.
        MachineError: if an engine or torch is missing, or no target can be measured.
    """
    checks.require_allowed_code(recipe, options)
    checks.require_data_dir(options)
    checks.require_installed(recipe, options)
    checks.require_measurable(recipe, options)
    recipe = pretrained_models.settle_models(recipe, options)
    of_targets = profiles.target_profiles(recipe, options.device)
    written = profiles.all_profiles(recipe, of_targets)
    learned = tuple(student.steps(recipe, written, options))
    every = (
        *learning.steps(recipe, recipe_folder, written, options),
        *learned,
        *ablation.steps(recipe, learned),
        *deploying.steps(recipe, of_targets, options.device),
    )
    read = {label for step in every for label, _ in step.takes.values()}
    return tuple(step for step in every if step.stage is not tune.STAGE or step.label in read)
