"""The runs that lie below a folder, each as one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from typing import NamedTuple

from edgekd import run_folder
from edgekd.bench.budget import MET
from edgekd.bench.budget import MISSED
from edgekd.bench.budget import OPEN
from edgekd.errors import InputError
from edgekd.report import result as results
from edgekd.report.result import Result
from edgekd.task import Scale
from edgekd.task import figure_text

DEPTH = 3
"""How many folders below the one that is asked for are searched."""
BudgetWord = Literal["kept", "missed", "open", "none"]


class ListedRun(NamedTuple):
    """One run folder, as far as it can be read."""

    folder: Path
    state: Literal["finished", "unfinished", "unreadable"]
    name: str = ""
    """Of the recipe."""
    date: str = ""
    """When the last of its steps was made, UTC."""
    score: float | None = None
    """Of the chosen candidate on the test set, else of the float student."""
    score_text: str = ""
    chosen: str | None = None
    budget: BudgetWord = "none"
    """``open``: a figure keeps its limit and the interval of it does not."""
    device: str = ""
    problem: str = ""
    """Why it cannot be read."""


def list_runs(root: Path) -> list[ListedRun]:
    """Find the runs in and below `root`, oldest first; those without a date come last."""
    found = [describe_run(folder) for folder in find_run_folders(root)]
    return sorted(found, key=lambda run: (not run.date, run.date, str(run.folder)))


def find_run_folders(root: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Yield `root` if it is a run folder, and those below it; hidden folders and links are passed by."""
    is_run = any(
        (root / name).is_file() for name in (results.FILE, run_folder.MARKER, run_folder.UNFINISHED)
    )
    if is_run:
        yield root
    try:
        inside = [root / run_folder.WITHOUT_BUNDLE] if is_run else sorted(root.iterdir())
    except OSError:
        return
    for folder in inside if depth else ():
        if folder.is_dir() and not folder.is_symlink() and not folder.name.startswith("."):
            yield from find_run_folders(folder, depth - 1)


def describe_run(folder: Path) -> ListedRun:
    """Return one line about the run in `folder`; of what cannot be read, why."""
    if not (folder / results.FILE).is_file():
        return ListedRun(folder, "unfinished")
    try:
        found = results.read(folder)
    except InputError as error:
        return ListedRun(folder, "unreadable", problem=error.line())
    scale = Scale(**found.metric.model_dump())
    chosen = next((row for row in found.candidates if row.name == found.chosen), None)
    score = found.student.score if chosen is None else chosen.score
    return ListedRun(
        folder,
        "finished",
        found.recipe,
        found.date or "",
        score,
        "" if score is None else figure_text(scale, score),
        found.chosen,
        judge_budget(found),
        str(found.environment.get("device") or ""),
    )


def judge_budget(found: Result) -> BudgetWord:
    """Return whether the limits of a run were kept."""
    verdicts = {line.verdict for line in found.budget}
    if not verdicts:
        return "none"
    if verdicts == {MET}:
        return "kept"
    return "open" if OPEN in verdicts and MISSED not in verdicts else "missed"
