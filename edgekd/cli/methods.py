"""``edgekd methods``: the losses a recipe may name."""

from __future__ import annotations

import click

from edgekd.cli import members

PLACE = """\
learn:
  - step: distil
    losses:
      - {}"""


@click.command(epilog="Examples: edgekd methods; edgekd methods kd")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List the losses a recipe may name, or say all about NAME: formula, needs and knobs."""
    from edgekd.learn.losses import LOSSES

    members.show(LOSSES, "loss", PLACE, name, as_json)
