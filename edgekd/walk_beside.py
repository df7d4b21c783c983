"""Walks a plan with a second process beside a long training, where that leaves a core free."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd import side_process
from edgekd.devices import local
from edgekd.plan import rehearsal
from edgekd.plan import side_steps
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.side_process import SideProcess
from edgekd.side_process import SideProcessFailed
from edgekd.side_process import WatchfulProgress
from edgekd.stage import Step
from edgekd.stages import export
from edgekd.walk import Walker


def walk_with_side_process(
    recipe: Recipe, recipe_path: Path, todo: Sequence[Step], options: Options, walker: Walker
) -> None:
    """Find or make every step's result.

    With a second process training begins before its rehearsal has ended: that goes on beside it, and a recipe which
    it refuses is refused all the same.

    Args:
        recipe: what is carried out.
        recipe_path: where it lies.
        todo: its plan up to the choice.
        options: whether there may be a second process.
        walker: makes the steps.
    """
    labels: tuple[str, ...] = ()
    has_ranks = options.team is not None  # their cores are taken
    if (
        options.side_process
        and not has_ranks
        and options.device is local.DEVICE
        and side_process.may_start()
    ):
        labels = side_steps.list_side_steps(todo)
    if labels:
        last = max(number for number, step in enumerate(todo) if step.label in labels) + 1
        order = write_order(recipe, recipe_path, options)
        exports = [step.label for step in todo if step.stage is export.STAGE]
        with SideProcess(order, labels, rehearsal.LABEL, exports) as side:
            _walk_both(walker, todo[:last], side, labels)
    walker.walk([step for step in todo if step.label not in walker.entries])


def write_order(recipe: Recipe, recipe_path: Path, options: Options) -> dict[str, Any]:
    """What `edgekd.side_worker.read_order` reads."""
    return {
        "recipe": recipe.model_dump(mode="json"),
        "recipe_path": str(recipe_path),
        "run_dir": str(options.run_dir),
        "store": str(options.store),
        "data_dir": None if options.data_dir is None else str(options.data_dir),
        "allow_code": options.allow_code,
        "allow_download": options.allow_download,
    }


def _walk_both(
    walker: Walker, todo: Sequence[Step], side: SideProcess, labels: Sequence[str]
) -> None:
    """Walk what leads to the student first, the steps of the second process after it."""
    display = walker.progress
    walker.progress, walker.side = WatchfulProgress(display, side), side
    try:
        walker.walk(side_steps.order_chain_first(todo, labels))
    except SideProcessFailed:
        pass  # what is left is made here, in the order of the plan: the rehearsal first
    except Exception:
        walker.progress, walker.side = display, None
        side.close()
        rehearsed = [step for step in todo if step.label == rehearsal.LABEL]
        left = [step for step in rehearsed if step.label not in walker.entries]
        walker.walk([step for step in left if walker.can_make(step)])
        raise  # the recipe is sound; else the rehearsal has told better what is wrong
    finally:
        walker.progress, walker.side = display, None
