"""``edgekd quantize``: a trained model in int8, measured beside itself in float."""

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


@click.command(
    epilog="Examples: edgekd quantize resnet8 --weights student.pt --data image-folder:photos; "
    "edgekd quantize model.onnx --data npz:samples.npz --target openvino"
)
@click.argument("model", metavar="MODEL|ONNX", shell_complete=completions.complete_model)
@add_options(MODEL_OPTIONS)
@click.option(
    "--epochs",
    type=click.IntRange(0, 100_000),
    default=0,
    show_default=True,
    help="Learn in int8 for so long; 0 is calibration alone.",
)
@click.option(
    "--score-drop",
    type=NumberRange(0),
    metavar="POINTS",
    help="Keep costly layers in float until the score falls by no more.",
)
@add_options(RUN_OPTIONS)
def command(
    model: str,
    data: str,
    weights: Path | None,
    targets: tuple[str, ...],
    task: str | None,
    epochs: int,
    score_drop: float | None,
    **options: Any,
) -> None:
    """Quantize MODEL, a name of `edgekd models` with its weights, or an ONNX file.

    Writes the recipe that does it, and runs that: calibrate, export, compile, measure beside float, choose.
    """
    from edgekd.api.recipes import quantize_recipe

    recipe = quantize_recipe(
        read_model(model),
        data=data,
        targets=targets,
        weights=None if weights is None else str(weights),
        task=task,
        epochs=epochs,
        score_drop=score_drop,
    )
    run_recipe("quantize", recipe, **options)
