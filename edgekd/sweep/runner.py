"""Carries a sweep out: every setting with all its seeds, as runs on one store."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import __version__
from edgekd import code
from edgekd import files
from edgekd import pipeline
from edgekd import recipe as recipes
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import rename_in_errors
from edgekd.progress import CallbackProgress
from edgekd.progress import Progress
from edgekd.recipe import Recipe
from edgekd.report import result as results
from edgekd.run import Options
from edgekd.sweep import document
from edgekd.sweep.outcome import SettingOutcome
from edgekd.sweep.outcome import judge_setting
from edgekd.sweep.space import SearchSpace
from edgekd.sweep.space import Setting
from edgekd.sweep.space import describe_setting
from edgekd.sweep.space import format_overrides
from edgekd.sweep.study import SweepStudy
from edgekd.sweep.study import open_study
from edgekd.sweep.turns import MachineTurns
from edgekd.task import value_text
from edgekd.units import number_text

GRID_MOST = 64
"""Settings that are all tried where nobody says how many."""
TRIALS = 20
"""Settings that are tried of a larger space, where nobody says how many."""
STORAGE = "study.sqlite3"
NAME_LENGTH = 60


class SweepRequest(NamedTuple):
    """What is asked for."""

    recipe_path: Path
    """What files that the recipe names are relative to, too."""
    overrides: tuple[str, ...]
    """Of every run."""
    space: SearchSpace
    options: Options
    """Of every run, but for its folder: that is the sweep's."""
    trials: int | None = None
    """How many settings in all."""
    storage: str | None = None
    """URL of Optuna's; an SQLite file in the folder if None."""
    content: Mapping[str, Any] | None = None
    """Of the recipe; None if it is the file."""

    def load_base(self, overrides: Sequence[str] = ()) -> Recipe:
        """The recipe with `overrides` beside those of every run.

        Raises:
            InputError: if that makes none.
        """
        every = (*self.overrides, *overrides)
        if self.content is None:
            return recipes.load(self.recipe_path, every)
        return recipes.load_mapping(self.content, self.recipe_path.parent, every)

    def load_recipe(self, setting: Setting, seeds: Setting) -> Recipe:
        """The recipe of one run.

        Raises:
            InputError: if the setting makes none.
        """
        with rename_in_errors("--set", "--over"):
            return self.load_base((*format_overrides(setting), *format_overrides(seeds)))

    @property
    def most(self) -> int:
        """How many settings are tried."""
        count = self.space.setting_count
        if self.trials is not None:
            return self.trials
        return count if count is not None and count <= GRID_MOST else TRIALS


def check_settings(request: SweepRequest) -> Recipe:
    """Load the recipe without the sweep's keys, and with every setting; of a large space, with each value of each key.

    Raises:
        InputError: for the first that makes no recipe.
    """
    base = request.load_base()
    space = request.space
    repetitions = space.repetitions()
    first = {axis.key: axis.examples[0] for axis in space.axes}
    if space.setting_count is not None and space.setting_count <= GRID_MOST:
        settings: list[Setting] = list(space.settings())
    else:
        settings = [{**first, axis.key: one} for axis in space.axes for one in axis.examples]
    for setting in settings:
        request.load_recipe(setting, repetitions[0])
    for seeds in repetitions[1:]:
        request.load_recipe(first, seeds)
    return base


def name_study(request: SweepRequest, base: Recipe) -> str:
    """The name that the same sweep has in every process and every run: recipe, space and device make it."""
    facts: dict[str, Any] = {
        "edgekd": __version__,
        "recipe": base.model_dump(mode="json"),
        "axes": [list(axis) for axis in request.space.axes],
        "seeds": [list(axis) for axis in request.space.seeds],
        "device": request.options.device.name,
    }
    return f"{base.name}-{files.digest_bytes(files.canonical_json(facts))[:16]}"


def run_sweep(request: SweepRequest, progress: Progress) -> document.SweepDocument:
    """Try settings until as many are done as were asked for, and write what came of them.

    What is done is kept by the study and the store: a second run goes on. Several processes with the same folder or
    storage share the work; each writes what is known when it ends.

    Raises:
        InputError: if the request makes no recipe, the folder holds something else, or every setting failed.
        EdgekdError: as a run does where the machine lacks something.
        KeyboardInterrupt: as it came.
    """
    base = check_settings(request)
    name, folder = name_study(request, base), request.options.run_dir
    document.require_ours(folder, name)
    files.make_folder(folder)
    opened = open_study(request.storage or folder / STORAGE, name)
    study = SweepStudy(
        opened,
        request.space,
        most=request.most,
        is_limited=bool(base.budget.model_dump(exclude_none=True, exclude_defaults=True)),
        folder=folder / "locks",
    )
    how = "each" if study.is_grid else "by TPE"
    seeds = number_text(len(request.space.repetitions()), "run")
    progress.note(f"{number_text(study.most, 'setting')} ({how}), {seeds} of each, in {folder}")
    document.write(folder, document.summarize(name, request.space, study), base.name)
    while _try_setting(request, study, progress):
        pass
    sweep = document.summarize(name, request.space, study)
    document.write(folder, sweep, base.name)
    winner = sweep.winner_outcome
    recipe = None if winner is None else request.load_recipe(winner.setting, winner.repetitions[0])
    document.write_winner(folder, recipe, request.recipe_path)
    if not sweep.settings and sweep.failures:
        last = sweep.failures[-1]
        raise InputError(
            f"sweep: all {len(sweep.failures)} settings failed; {describe_setting(last.setting)}: {last.error}"
        )
    return sweep


def _try_setting(request: SweepRequest, study: SweepStudy, progress: Progress) -> bool:
    """Carry the next setting out; gives False if there is none."""
    with study.claim() as claimed:
        if claimed is None:
            return False
        label = describe_setting(claimed.setting)
        try:
            outcome = _carry_out(request, claimed.setting, progress)
        except Exception as error:
            message = _describe_user_error(error)
            if message is None:
                raise
            progress.note(f"{label}: failed: {message}")
            study.record_failure(claimed, message)
            return True
        contender = outcome.contender
        values = contender.score.value, contender.latency_ms.value
        study.record(claimed, outcome.model_dump(mode="json"), values, outcome.excess)
        score = value_text(outcome.scale, float(outcome.row.validation_score or 0.0))
        budget = "" if outcome.is_inside else ", outside the budget"
        progress.note(
            f"{label}: {outcome.scale.name} {score}, {contender.latency_ms.value:.3g} ms{budget}"
        )
    return True


def _describe_user_error(error: Exception) -> str | None:
    """One line of what the user's settings, data or own code are to blame for; None of anything else."""
    if isinstance(error, InputError):
        return error.line()
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, EdgekdError) or not any(code.was_loaded(one.filename) for one in frames):
        return None
    return InputError(f"your code raised {type(error).__name__}: {error}").line()


def _carry_out(
    request: SweepRequest, setting: dict[str, str], progress: Progress
) -> SettingOutcome:
    folder = request.options.run_dir
    repetitions = [dict(seeds) for seeds in request.space.repetitions()]
    runs = [f"runs/{_name_run({**setting, **seeds})}" for seeds in repetitions]
    budget = None
    run_results = []
    for seeds, run in zip(repetitions, runs, strict=True):
        recipe = request.load_recipe(setting, seeds)
        budget = budget or recipe.budget
        progress.note(f"{describe_setting({**setting, **seeds})}: in {folder / run}")
        options = replace(
            request.options, run_dir=folder / run, may_move=False, replace=True, overrides=()
        )
        turns = MachineTurns(folder / "locks", progress.note)
        with contextlib.ExitStack() as stack:
            stack.callback(turns.release)
            reporting = CallbackProgress(progress, [turns.follow])
            finished = pipeline.compress(recipe, request.recipe_path, options, reporting)
        run_results.append(results.read(finished.run_dir))
    assert budget is not None
    return judge_setting(setting, repetitions, runs, run_results, budget)


def _name_run(values: Mapping[str, str]) -> str:
    """A folder's name that says the values, as far as a name can, and differs where they do."""
    values_text = re.sub(r"[^A-Za-z0-9.=_-]+", "_", describe_setting(values))[:NAME_LENGTH]
    return f"{values_text}-{files.digest_bytes(files.canonical_json(dict(values)))[:8]}"
