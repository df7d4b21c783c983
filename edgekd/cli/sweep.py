"""``edgekd sweep``: many students of one recipe, their frontier, and the winner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.cli import completions
from edgekd.cli import options as shared
from edgekd.cli.screen import echo
from edgekd.cli.screen import get_volume
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.sweep.document import SweepDocument

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(
    epilog="Examples: edgekd sweep recipe.yaml --over student.model.base=8,16,32 --over student_seed=0,1,2; "
    "edgekd sweep recipe.yaml --over student.train.learning_rate=0.01..0.1:log --trials 12"
)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--over",
    "over",
    shell_complete=completions.complete_key,
    multiple=True,
    metavar="KEY=VALUES",
    help="A key with its values, 8,16,32, or a range, 0.01..0.1:log; may be repeated. Values of student_seed and seed "
    "repeat each setting.",
)
@click.option(
    "--space",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YAML or TOML file with such keys.",
)
@click.option(
    "--trials",
    type=click.IntRange(1, 100_000),
    help="How many settings are tried in all.  [default: each of up to 64, else 20]",
)
@click.option(
    "--storage",
    metavar="URL",
    help="Optuna's storage, which processes share.  [default: an SQLite file in the folder]",
)
@click.option(
    "--sweep-dir", type=FOLDER, help="Folder of runs and frontier.  [default: runs/NAME-sweep]"
)
@shared.store
@shared.overrides
@shared.data_dir
@shared.device
@shared.allow_code
@shared.allow_download
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    recipe: Path,
    over: tuple[str, ...],
    space: Path | None,
    trials: int | None,
    storage: str | None,
    sweep_dir: Path | None,
    store: Path | None,
    overrides: tuple[str, ...],
    data_dir: Path | None,
    device: str,
    allow_code: bool,
    allow_download: bool,
    as_json: bool,
) -> None:
    """Run RECIPE with many settings on one store, and find the best student within its budget.

    A few settings are all tried; of more, Optuna's TPE looks for a high validation score and a low latency within the
    budget. After Ctrl-C the same command continues, and several processes may run it at once. The folder gets
    sweep.json, frontier.html, and winner.yaml for edgekd compress.
    """
    from edgekd import devices
    from edgekd import recipe as recipes
    from edgekd import run
    from edgekd.display import make_display
    from edgekd.sweep import runner
    from edgekd.sweep import space as spaces

    texts = [*(spaces.read_space_file(space) if space is not None else ()), *over]
    parsed = spaces.parse_space(texts)
    loaded = recipes.load(recipe, overrides)
    folder = sweep_dir or run.default_run_dir(f"{loaded.name}-sweep")
    options = run.Options(
        run_dir=folder,
        store=store or run.default_store(),
        data_dir=data_dir,
        allow_code=allow_code,
        allow_download=allow_download,
        device=devices.find_device(device),
    )
    request = runner.SweepRequest(recipe, overrides, parsed, options, trials, storage)
    loud = get_volume()
    with make_display(quiet=loud.quiet, verbose=loud.verbose) as progress:
        sweep = runner.run_sweep(request, progress)
    if as_json:
        print_json(sweep.model_dump(mode="json"))
    else:
        _print_frontier(sweep, folder)
    _require_winner(sweep, folder)


def _print_frontier(sweep: SweepDocument, folder: Path) -> None:
    """The frontier as a table, the winner with its score on the test set, and where all of it lies."""
    from edgekd.sweep import table

    if rows := table.list_rows(sweep):
        print_columns(rows)
    echo(f"\n{table.describe_progress(sweep)}: {folder}")
    winner = sweep.winner_outcome
    if winner is None:
        return
    if tested := table.describe_test(winner):
        echo(tested)
    echo(f"edgekd compress {folder / 'winner.yaml'}")


def _require_winner(sweep: SweepDocument, folder: Path) -> None:
    from edgekd.errors import BudgetMissed
    from edgekd.errors import Inconclusive
    from edgekd.sweep import table

    if missed := table.describe_miss(sweep):
        failure = Inconclusive if any(each.is_open for each in sweep.settings) else BudgetMissed
        raise failure(missed, hint=f"see {folder / 'frontier.html'}")
