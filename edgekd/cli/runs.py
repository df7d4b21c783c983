"""``edgekd runs``: the runs that lie below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.report.run_list import ListedRun

HEADER = ("where", "name", "date (UTC)", "score", "chosen", "budget")


@click.command(epilog="Examples: edgekd runs; edgekd runs experiments --json")
@click.argument("folder", default="runs", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(folder: Path, as_json: bool) -> None:
    """List the runs in and below FOLDER, oldest first: the score on the test set, the chosen candidate, whether it
    keeps the budget. FOLDER is runs where none is given.
    """
    from edgekd.errors import InputError
    from edgekd.report import run_list

    if not folder.is_dir():
        raise InputError(
            f"{folder}: got no folder, want one that holds runs", hint="edgekd compress RECIPE"
        )
    found = run_list.list_runs(folder)
    if as_json:
        print_json([_fields(run) for run in found])
    elif found:
        print_columns([HEADER, *map(_row, found)])
    else:
        echo(f"no run in {folder}; make one: edgekd compress RECIPE")


def _fields(run: ListedRun) -> dict[str, Any]:
    return {**run._asdict(), "folder": str(run.folder)}


def _row(run: ListedRun) -> tuple[str, ...]:
    if run.state != "finished":
        return str(run.folder), "", "", "", run.problem or run.state, ""
    name = "" if run.folder.name.startswith(run.name) else run.name  # else it says nothing new
    date = run.date[:16].replace("T", " ")
    budget = "–" if run.budget == "none" else run.budget
    return str(run.folder), name, date, run.score_text, run.chosen or "nothing", budget
