"""``edgekd compress``: run a recipe, or say what it would do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekd.cli import options as shared
from edgekd.cli.screen import Volume
from edgekd.cli.screen import echo
from edgekd.cli.screen import get_volume
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.recipe import Recipe
    from edgekd.run import Options

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command(
    epilog="Examples: edgekd compress pipelines/quickstart.yaml --dry-run; "
    "edgekd compress recipe.yaml --set student.train.epochs=30 --set learn.0.losses.0.temperature=2"
)
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option(
    "--run-dir",
    type=FOLDER,
    help="Folder of the report and bundle.  [default: runs/NAME, or runs/NAME-2 and so on where "
    "that holds a run with other settings]",
)
@click.option(
    "--replace", is_flag=True, help="Replace a run with other settings that the folder holds."
)
@shared.store
@shared.overrides
@shared.data_dir
@shared.device
@click.option(
    "--dry-run", is_flag=True, help="Print what would run and which files it touches, and stop."
)
@click.option(
    "--check", is_flag=True, help="Try one step of each training on untrained networks, and stop."
)
@shared.allow_code
@shared.allow_download
@shared.no_wait
@click.option(
    "--track",
    multiple=True,
    metavar="NAME[:WHERE]",
    help="Keep curves, figures and files in mlflow[:URI] or tensorboard[:DIR], by default in the run "
    "folder; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    recipe: Path,
    run_dir: Path | None,
    replace: bool,
    store: Path | None,
    overrides: tuple[str, ...],
    data_dir: Path | None,
    device: str,
    dry_run: bool,
    check: bool,
    allow_code: bool,
    allow_download: bool,
    no_wait: bool,
    track: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run RECIPE: train, distil, make smaller, quantize, export, compile, measure, choose, bundle, report.

    Results are stored: steps that did not change are not run again, and after Ctrl-C the same command
    continues. NAME is the recipe's name.
    """
    from edgekd import devices
    from edgekd import recipe as recipes
    from edgekd import run
    from edgekd.launch.environment import read_launch

    loaded = recipes.load(recipe, overrides)
    options = run.Options(
        run_dir=run_dir or run.default_run_dir(loaded.name),
        may_move=run_dir is None,
        replace=replace,
        store=store or run.default_store(),
        data_dir=data_dir,
        allow_code=allow_code,
        allow_download=allow_download,
        wait=not no_wait,
        side_process=True,
        device=devices.find_device(device),
        overrides=overrides,
    )
    is_first = read_launch().rank == 0
    if (dry_run or check) and not is_first:
        return
    if dry_run:
        from edgekd.cli import dry_run as preview

        preview.show_plan(loaded, recipe, options, as_json)
    elif check:
        _check(loaded, recipe, options, as_json)
    else:
        _compress(loaded, recipe, options, as_json, track)


def _check(recipe: Recipe, path: Path, options: Options, as_json: bool) -> None:
    """What each step of learning will compare, if all of them can begin."""
    from edgekd import pipeline
    from edgekd.display import make_display
    from edgekd.plan import checks
    from edgekd.plan import settling

    loud = get_volume()
    with make_display(quiet=loud.quiet, verbose=loud.verbose) as progress:
        found = pipeline.rehearse(recipe, path, options, progress)
        for line in checks.list_unmeasurable(recipe, options):
            progress.note(f"cannot be measured: {line}")
    if as_json:
        storing = {label: choice.describe() for label, choice in found.choices.items()}
        print_json({"steps": found.layers} | ({"storing": storing} if storing else {}))
        return
    for label, rows in found.layers.items():
        places = [f"{row['loss']}: {row['student']} - {row['teacher']}" for row in rows]
        echo(f"{label}: can begin; {', '.join(places) or 'compares answers alone'}")
        if label in found.choices:
            echo(f"{label}: {settling.describe_choice(found.choices[label])}")


def _compress(
    recipe: Recipe, path: Path, options: Options, as_json: bool, track: tuple[str, ...]
) -> None:
    from edgekd import pipeline
    from edgekd.cli import summary
    from edgekd.display import make_display
    from edgekd.errors import BudgetMissed
    from edgekd.errors import Inconclusive
    from edgekd.launch.environment import read_launch
    from edgekd.progress import CallbackProgress
    from edgekd.report.result import Result
    from edgekd.trackers import open_trackers
    from edgekd.units import number_text

    loud = get_volume()
    if read_launch().rank:  # the first says and keeps the same
        loud, track = Volume(quiet=True), ()
    with make_display(quiet=loud.quiet, verbose=loud.verbose) as progress:
        callbacks = open_trackers(track, progress.note)
        reporting = CallbackProgress(progress, callbacks) if callbacks else progress
        finished = pipeline.compress(recipe, path, options, reporting)
    found = sum(hit for _, hit, _ in finished.steps)
    if not loud.quiet:
        steps = number_text(len(finished.steps), "step")
        echo(f"{found} of {steps} found in the store", err=True)
    if as_json:
        print_json(finished.result)
    else:
        summary.print_summary(
            Result.model_validate_json(json.dumps(finished.result)), finished.run_dir
        )
    if finished.missed:
        verdicts = {line["verdict"] for line in finished.result.get("budget", ())}
        # the medians keep every limit, their intervals do not: nothing is missed, nothing is sure
        undecided = "open" in verdicts and verdicts <= {"met", "open"}
        failure = Inconclusive if undecided else BudgetMissed
        raise failure(finished.missed, hint=f"see {finished.run_dir / 'report.md'}")
