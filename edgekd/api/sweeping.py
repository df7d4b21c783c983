"""Many students of one recipe from Python, and what came of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd import devices
from edgekd import recipe as recipes
from edgekd import run
from edgekd.api.overrides import to_settings
from edgekd.display import make_display
from edgekd.report import markdown
from edgekd.sweep import document
from edgekd.sweep import runner
from edgekd.sweep import space
from edgekd.sweep import table
from edgekd.sweep.outcome import SettingOutcome


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep as far as it has come: every setting, the frontier, the winner, and where all of it lies."""

    folder: Path
    """Of sweep.json, frontier.html, winner.yaml and the runs."""
    document: document.SweepDocument
    """What sweep.json says, typed."""

    @property
    def settings(self) -> tuple[SettingOutcome, ...]:
        """Every setting that is done, averaged over its seeds."""
        return self.document.settings

    @property
    def frontier(self) -> tuple[SettingOutcome, ...]:
        """Those that no other beats for sure in score and latency, the fastest first."""
        return tuple(self.settings[number] for number in self.document.frontier)

    @property
    def winner(self) -> SettingOutcome | None:
        """The best inside the budget, judged on the validation split; None if none is."""
        return self.document.winner_outcome

    @property
    def recipe(self) -> Path | None:
        """The winner's, for `edgekd.compress`, which finds its steps in the store."""
        return None if self.winner is None else self.folder / document.WINNER

    @property
    def missed(self) -> str:
        """Which limits the nearest setting misses; empty if there is a winner."""
        return table.describe_miss(self.document)

    def __repr__(self) -> str:
        winner = None if self.winner is None else space.describe_setting(self.winner.setting)
        return (
            f"SweepResult({str(self.folder)!r}, settings={len(self.settings)}, winner={winner!r})"
        )

    def _repr_markdown_(self) -> str:
        """What a notebook shows: the frontier, how far the sweep is, where the page lies."""
        lines = []
        for number, row in enumerate(table.list_rows(self.document)):
            lines.append(f"| {' | '.join(map(markdown.escape_text, row))} |")
            if number == 0:
                lines.append("|" + "---|" * len(row))
        told = [table.describe_progress(self.document), self.missed]
        page = f"`{markdown.escape_text(self.folder / document.PAGE)}`"
        return "\n".join([*lines, "", *map(markdown.escape_text, filter(None, told)), "", page])


def sweep(
    recipe: str | os.PathLike[str] | Mapping[str, Any],
    over: Mapping[str, Any],
    *,
    trials: int | None = None,
    storage: str | None = None,
    sweep_dir: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] = ".",
    data_dir: str | os.PathLike[str] | None = None,
    device: str = "local",
    allow_code: bool = False,
    allow_download: bool = False,
    quiet: bool = False,
    **overrides: Any,
) -> SweepResult:
    """Run a recipe with many settings on one store, as ``edgekd sweep`` does, and find the best student in its budget.

    A few settings are all tried; of more, Optuna's TPE (Bergstra et al. 2011) looks for a high validation score and a low
    latency within the budget. After an interruption the same call goes on.

    Args:
        recipe: a YAML or TOML file, or its content as a mapping.
        over: by key of the recipe, what the sweep goes over: a sequence of values, or a range as a text,
            ``"0.01..0.1:log"``. Values of ``student_seed`` and ``seed`` repeat each setting.
        trials: how many settings are tried in all; each of up to 64, else 20, if left out.
        storage: URL of Optuna's storage, which processes share; an SQLite file in the sweep's folder if left out.
        sweep_dir: folder of runs and frontier; ``runs/NAME-sweep`` if left out.
        store, folder, data_dir, device, allow_code, allow_download, quiet, overrides: as `edgekd.compress` takes them.

    Returns:
        What came of it. If no setting keeps the budget there is no winner, and ``missed`` says why.

    Raises:
        EdgekdError: what ``edgekd sweep`` would say in one line, but for a missed budget.
        KeyboardInterrupt: as it came; nothing that was finished is lost.

    >>> import edgekd
    >>> found = edgekd.sweep("recipe.yaml", {"student.model.base": [8, 16, 32], "student_seed": range(3)})
    >>> result = edgekd.compress(found.recipe)
    """
    settings = to_settings(overrides)
    axes = space.parse_space(space.format_space(over))
    if isinstance(recipe, Mapping):
        content, path = dict(recipe), Path(folder) / "recipe"
        name = recipes.load_mapping(content, path.parent, settings).name
    else:
        content, path = None, Path(recipe)
        name = recipes.load(path, settings).name
    options = run.Options(
        run_dir=run.default_run_dir(f"{name}-sweep") if sweep_dir is None else Path(sweep_dir),
        store=run.default_store() if store is None else Path(store),
        data_dir=None if data_dir is None else Path(data_dir),
        allow_code=allow_code,
        allow_download=allow_download,
        device=devices.find_device(device),
    )
    request = runner.SweepRequest(path, settings, axes, options, trials, storage, content)
    with make_display(quiet=quiet, verbose=False) as display:
        found = runner.run_sweep(request, display)
    return SweepResult(options.run_dir, found)
