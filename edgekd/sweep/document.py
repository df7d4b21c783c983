"""What a sweep leaves: sweep.json, the frontier as a page, and the winner's recipe."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from typing import Literal

from edgekd import __version__
from edgekd import files
from edgekd.errors import InputError
from edgekd.recipe import Recipe
from edgekd.recipe import writing
from edgekd.report.html import sweep_page
from edgekd.settings import Settings
from edgekd.sweep import frontier
from edgekd.sweep.outcome import SettingOutcome
from edgekd.sweep.space import SearchSpace
from edgekd.sweep.space import describe_setting
from edgekd.sweep.study import SweepStudy

FILE, PAGE, WINNER = "sweep.json", "frontier.html", "winner.yaml"
FORMAT = "edgekd.sweep/1"


class FailedSetting(Settings):
    """A setting that could not be carried out."""

    setting: dict[str, str]
    error: str


class SweepDocument(Settings):
    """sweep.json."""

    format: Literal["edgekd.sweep/1"] = "edgekd.sweep/1"
    edgekd: str
    """Version that wrote it."""
    study: str
    """Its name in Optuna's storage."""
    over: dict[str, str]
    """By key of the recipe, what it went over."""
    seeds: dict[str, tuple[str, ...]]
    """By key, the seeds of every setting."""
    wanted: int
    """How many settings were to be tried."""
    running: int
    """How many are still at work in other processes."""
    settings: tuple[SettingOutcome, ...]
    frontier: tuple[int, ...]
    """Of `settings`, those that no other beats for sure, the fastest first."""
    winner: int | None
    """Of `settings`; null if none keeps the budget. Judged on the validation split."""
    failures: tuple[FailedSetting, ...]

    @property
    def winner_outcome(self) -> SettingOutcome | None:
        """The winner itself."""
        return None if self.winner is None else self.settings[self.winner]


def schema() -> dict[str, Any]:
    """JSON schema of sweep.json."""
    return SweepDocument.model_json_schema(mode="serialization")


def summarize(name: str, space: SearchSpace, study: SweepStudy) -> SweepDocument:
    """The document of what is known now."""
    texts = map(files.canonical_json, study.outcomes())
    settings = tuple(map(SettingOutcome.model_validate_json, texts))
    contenders = [each.contender for each in settings]
    return SweepDocument(
        edgekd=__version__,
        study=name,
        over={axis.key: axis.describe() for axis in space.axes},
        seeds={axis.key: axis.values for axis in space.seeds},
        wanted=study.most,
        running=study.count_running(),
        settings=settings,
        frontier=tuple(frontier.list_unbeaten(contenders)),
        winner=frontier.find_winner(contenders),
        failures=tuple(FailedSetting(**each._asdict()) for each in study.failures()),
    )


def require_ours(folder: Path, name: str) -> None:
    """
    Raises:
        InputError: if the folder holds another sweep, or files that no sweep wrote.
    """
    path = folder / FILE
    hint = "give another --sweep-dir"
    if os.path.lexists(path):
        value: Any = files.read_json(path, follow=False)
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise InputError(f"{path}: is not what a sweep of edgekd wrote, and stays", hint=hint)
        if value.get("study") != name:
            raise InputError(
                f"{folder}: holds another sweep (recipe, keys, device or edgekd differ), and keeps it",
                hint=hint,
            )
        return
    for other in (PAGE, WINNER):
        if os.path.lexists(folder / other):
            raise InputError(
                f"{folder / other}: is not what a sweep of edgekd wrote, and stays", hint=hint
            )


def write(folder: Path, sweep: SweepDocument, recipe_name: str) -> None:
    """Write sweep.json, and the page where a setting is done."""
    files.write_bytes(folder / FILE, files.pretty_json(sweep.model_dump(mode="json")))
    if sweep.settings:
        page = sweep_page.write_page(
            f"Sweep of {recipe_name}",
            [
                sweep_page.SweepStudent(
                    describe_setting(each.setting),
                    each.row,
                    number in sweep.frontier,
                    number == sweep.winner,
                    each.is_inside,
                    "; ".join(line.message for line in each.budget if line.verdict != "met"),
                    each.runs,
                )
                for number, each in enumerate(sweep.settings)
            ],
            sweep.settings[0].scale,
            [(describe_setting(each.setting), each.error) for each in sweep.failures],
            max(len(each.runs) for each in sweep.settings),
        )
        files.write_bytes(folder / PAGE, page.encode())


def write_winner(folder: Path, recipe: Recipe | None, path: Path) -> None:
    """Write the recipe of the winner, which the store answers in full, or remove that of an earlier one.

    Args:
        folder: of the sweep.
        recipe: of the winner's first run; None where there is no winner.
        path: the recipe's file that was swept.
    """
    if recipe is None:
        files.remove(folder / WINNER)
        return
    text = writing.format_recipe(recipe, writing.locate_weights(recipe, path, folder))
    files.write_bytes(folder / WINNER, text.encode())
