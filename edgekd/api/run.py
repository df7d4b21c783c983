"""A recipe carried out from Python, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal

from edgekd import devices
from edgekd import pipeline
from edgekd import recipe as recipes
from edgekd import run
from edgekd.api.overrides import to_settings
from edgekd.api.weights import load
from edgekd.display import make_display
from edgekd.progress import Callback
from edgekd.progress import CallbackProgress
from edgekd.report import markdown
from edgekd.report import result as results
from edgekd.report.result_row import Row
from edgekd.task import Scale
from edgekd.trackers import open_trackers

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run: what was measured, what was chosen, and where all of it lies."""

    run_dir: Path
    """The folder of report and bundle."""
    document: results.Result
    """What result.json says, typed."""
    missed: str = ""
    """Which limit no candidate keeps, and by how much; empty if one was chosen."""

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every candidate: score, latency, memory and size of one engine and precision."""
        return self.document.candidates

    @property
    def chosen(self) -> Row | None:
        """The candidate that is shipped; None if none keeps the budget."""
        return next((row for row in self.rows if row.name == self.document.chosen), None)

    @property
    def score(self) -> float | None:
        """The chosen candidate's score on the test set, else the float student's; None if it was not evaluated."""
        chosen = self.chosen
        return self.document.student.score if chosen is None else chosen.score

    @property
    def report(self) -> Path:
        """The report, Markdown."""
        return self.run_dir / "report.md"

    @property
    def bundle(self) -> Path | None:
        """What is shipped, a folder; None if nothing was chosen."""
        return None if self.chosen is None else self.run_dir / "bundle"

    def load(
        self, *, precision: Literal["fp32", "int8"] = "fp32", allow_code: bool = False
    ) -> nn.Module:
        """The student as a torch module, as `edgekd.load` gives it."""
        return load(self.run_dir, precision=precision, allow_code=allow_code)

    def __repr__(self) -> str:
        chosen = None if self.chosen is None else self.chosen.name
        return f"Result({str(self.run_dir)!r}, score={self.score}, chosen={chosen!r})"

    def _repr_markdown_(self) -> str:
        """What a notebook shows: the headline, a line a candidate, where the report lies."""
        scale = Scale(**self.document.metric.model_dump())
        lines = [
            f"**{markdown.escape_text(markdown.headline(self.document))}**",
            "",
            f"| candidate | {markdown.escape_text(scale.name)} | ms | kB | status |",
            "|---|--:|--:|--:|---|",
        ]
        for row in self.rows:
            name = markdown.escape_text(row.name)
            name = f"**{name}**" if row.name == self.document.chosen else name
            cells = (
                name,
                markdown.figure_or_none(row.score, scale),
                "" if row.latency_p50_ms is None else f"{row.latency_p50_ms:.3g}",
                "" if row.size_bytes is None else f"{row.size_bytes / 1000:.0f}",
                markdown.escape_text(row.reason or row.status),
            )
            lines.append(f"| {' | '.join(cells)} |")
        warnings = [f"- {markdown.escape_text(text)}" for text in self.document.warnings]
        return "\n".join([*lines, "", *warnings, "", f"`{markdown.escape_text(self.report)}`"])


def compress(
    recipe: str | os.PathLike[str] | Mapping[str, Any],
    *,
    run_dir: str | os.PathLike[str] | None = None,
    replace: bool = False,
    store: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] = ".",
    data_dir: str | os.PathLike[str] | None = None,
    device: str = "local",
    allow_code: bool = False,
    allow_download: bool = False,
    wait: bool = True,
    callbacks: Sequence[Callback] = (),
    track: Sequence[str] = (),
    quiet: bool = False,
    **overrides: Any,
) -> RunResult:
    """Carry a recipe out, as ``edgekd compress`` does: the same steps, the same store, the same bytes.

    Steps that did not change are found in the store. After an interruption the same call goes on.

    Args:
        recipe: a YAML or TOML file, or its content as a mapping.
        run_dir: folder of report and bundle; if left out ``runs/NAME`` with the recipe's name, or ``runs/NAME-2`` where
            that holds a run with other settings.
        replace: whether a run with other settings that the folder holds is replaced.
        store: folder of stored results; ``$EDGEKD_HOME``, else the user's cache folder, if left out.
        folder: what files are relative to that a mapping names; those in a file are relative to that file.
        data_dir: folder of the public data sets.
        device: where engines are compiled and measured.
        allow_code: whether ``python:`` names of the recipe may run.
        allow_download: whether data and weights that are missing may be downloaded.
        wait: whether to wait while another run uses the same folder.
        callbacks: functions that receive every event (`edgekd.progress.Event`), one after another.
        track: where curves, figures and files are kept, too: ``"mlflow"``, ``"mlflow:URI"``, ``"tensorboard:DIR"``.
        quiet: whether nothing is said on stderr.
        overrides: keys of the recipe, ``seed=1``, ``student={"train": {"epochs": 3}}`` or
            ``**{"student.train.epochs": 3}``. A mapping that has a ``name``, and a list, replace what is there.

    Returns:
        What came of it. If no candidate keeps the budget, nothing is chosen and ``missed`` says why.

    Raises:
        EdgekdError: what ``edgekd compress`` would say in one line: of the recipe, the data, the machine.
        KeyboardInterrupt: as it came; nothing that was finished is lost.
        Exception: what a callback raises.

    >>> import edgekd
    >>> result = edgekd.compress("pipelines/quickstart.yaml", student={"train": {"epochs": 10}})
    >>> result.chosen.name, result.chosen.latency_p50_ms
    >>> student = result.load()
    """
    settings = to_settings(overrides)
    if isinstance(recipe, Mapping):
        path = Path(folder) / "recipe"
        loaded = recipes.load_mapping(recipe, Path(folder), settings)
    else:
        path = Path(recipe)
        loaded = recipes.load(path, settings)
    options = run.Options(
        run_dir=run.default_run_dir(loaded.name) if run_dir is None else Path(run_dir),
        may_move=run_dir is None,
        replace=replace,
        store=run.default_store() if store is None else Path(store),
        data_dir=None if data_dir is None else Path(data_dir),
        allow_code=allow_code,
        allow_download=allow_download,
        wait=wait,
        device=devices.find_device(device),
        overrides=settings,
    )
    with make_display(quiet=quiet, verbose=False) as display:
        every: list[Callback] = [*callbacks, *open_trackers(track, display.note)]
        finished = pipeline.compress(loaded, path, options, CallbackProgress(display, every))
    document = results.read(finished.run_dir)
    return RunResult(finished.run_dir, document, finished.missed)
