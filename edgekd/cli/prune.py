"""``edgekd prune``: a trained model with fewer channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli.arguments import read_model
from edgekd.cli.number_range import NumberRange
from edgekd.cli.single import MODEL_OPTIONS
from edgekd.cli.single import RUN_OPTIONS
from edgekd.cli.single import add_options
from edgekd.cli.single import run_recipe

SHARE = NumberRange(0, 1, min_open=True, max_open=True)


@click.command(
    epilog="Example: edgekd prune resnet20 --weights model.pt --data image-folder:photos --macs 0.5"
)
@click.argument("model", shell_complete=completions.complete_model)
@add_options(MODEL_OPTIONS)
@click.option(
    "--speedup",
    type=NumberRange(1, 100, min_open=True),
    metavar="TIMES",
    help="How many times faster it is to be, measured.",
)
@click.option(
    "--macs",
    type=SHARE,
    metavar="SHARE",
    help="Largest share of the multiply-accumulates that is left.",
)
@click.option(
    "--parameters",
    type=SHARE,
    metavar="SHARE",
    help="Largest share of the parameters that is left.",
)
@click.option(
    "--score-drop",
    type=NumberRange(0),
    metavar="POINTS",
    help="Largest loss of the score before it learns again.",
)
@click.option(
    "--epochs",
    type=click.IntRange(0, 100_000),
    default=10,
    show_default=True,
    help="How long it learns again afterwards.",
)
@add_options(RUN_OPTIONS)  # fmt: skip
def command(
    model: str,
    data: str,
    weights: Path | None,
    targets: tuple[str, ...],
    task: str | None,
    epochs: int,
    speedup: float | None,
    macs: float | None,
    parameters: float | None,
    score_drop: float | None,
    **options: Any,
) -> None:
    """Prune MODEL, a name of `edgekd models` with its weights, to one of the limits.

    Writes the recipe that does it, and runs that: prune, learn again from what it was, export, compile, measure, choose.
    """
    from edgekd.api.recipes import prune_recipe
    from edgekd.errors import InputError

    limits = {
        "speedup": speedup,
        "macs": macs,
        "parameters": parameters,
        "score_drop": score_drop,
    }
    try:
        recipe = prune_recipe(
            read_model(model),
            data=data,
            budget={name: limit for name, limit in limits.items() if limit is not None},
            targets=targets,
            weights=None if weights is None else str(weights),
            task=task,
            epochs=epochs,
        )
    except ValueError as error:
        wanted = ", ".join(f"--{name.replace('_', '-')}" for name in limits)
        raise InputError(f"prune: want exactly one of {wanted}") from error
    run_recipe("prune", recipe, **options)
