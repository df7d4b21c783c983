"""``edgekd models``: the networks a recipe may name."""

from __future__ import annotations

import click

from edgekd.cli import completions
from edgekd.cli import members


@click.command(epilog="Examples: edgekd models; edgekd models resnet8 --json")
@click.argument("name", required=False, shell_complete=completions.complete_model)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List the models a recipe may name; or show NAME: paper, settings and lines for a recipe."""
    from edgekd.learn.models import MODELS

    members.show_table(MODELS, "model", "student:\n  model: {}", name, as_json)
