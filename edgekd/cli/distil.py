"""``edgekd distil``: a student learns from a teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli.arguments import read_model
from edgekd.cli.single import DATA
from edgekd.cli.single import FILE
from edgekd.cli.single import RUN_OPTIONS
from edgekd.cli.single import TARGET
from edgekd.cli.single import WEIGHTS_OPTIONS
from edgekd.cli.single import add_options
from edgekd.cli.single import run_recipe


@click.command(
    epilog="Example: edgekd distil resnet8 --teacher resnet20 --teacher-weights teacher.pt --data image-folder:photos"
)
@click.argument("student", shell_complete=completions.complete_model)
@click.option(
    "--teacher",
    required=True,
    metavar="MODEL",
    shell_complete=completions.complete_model,
    help="The large model, see edgekd models.",
)
@click.option(
    "--teacher-weights", type=FILE, help="Its trained weights; without them it is trained first."
)
@add_options((DATA, TARGET, WEIGHTS_OPTIONS[1]))
@click.option(
    "--epochs",
    type=click.IntRange(1, 100_000),
    default=30,
    show_default=True,
    help="How long the student learns.",
)
@click.option("--quantize", is_flag=True, help="Go on to int8.")
@add_options(RUN_OPTIONS)  # fmt: skip
def command(
    student: str,
    teacher: str,
    teacher_weights: Path | None,
    data: str,
    targets: tuple[str, ...],
    task: str | None,
    epochs: int,
    quantize: bool,
    **options: Any,
) -> None:
    """Train STUDENT, a name of `edgekd models`, by a teacher; its control learns from labels alone.

    Writes the recipe that does it, and runs that: distil, export, compile, measure, choose.
    """
    from edgekd.api.recipes import distil_recipe

    recipe = distil_recipe(
        read_model(student),
        read_model(teacher),
        data=data,
        targets=targets,
        teacher_weights=None if teacher_weights is None else str(teacher_weights),
        task=task,
        epochs=epochs,
        quantize=quantize,
    )
    run_recipe("distil", recipe, **options)
