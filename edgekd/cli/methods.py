"""``edgekd methods``: the losses, the schemes and the synthesizers a recipe may name, by family."""

from __future__ import annotations

from typing import Any

import click

from edgekd.cli import members

LOSS = """\
learn:
  - step: distil
    losses:
      - {}"""
SCHEME = """\
learn:
  - step: distil
    scheme: {}
    losses: [cross-entropy, kd]"""
SYNTHESIS = """\
synthesis:
  method: {}"""
PLACES = {"schemes": SCHEME, "synthesis": SYNTHESIS}
"""Of what is no loss, by its heading."""


@click.command(epilog="Examples: edgekd methods; edgekd methods kd")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List the methods a recipe may name, or say all about NAME: formula, needs, knobs, and what it was
    measured to do."""
    from edgekd.learn.losses import FAMILIES
    from edgekd.learn.schemes import SCHEMES
    from edgekd.learn.synthesis import SYNTHESIZERS

    families = {**FAMILIES, "schemes": SCHEMES, "synthesis": SYNTHESIZERS}
    places = {**dict.fromkeys(FAMILIES, LOSS), **PLACES}
    members.show_families(families, "method", places, name, as_json, _known)


def _known(name: str) -> dict[str, Any]:
    """A loss's usual weight, where it looks, and what it was measured to do."""
    from edgekd.learn.losses import LOSSES
    from edgekd.learn.signals import reads_layers

    member = LOSSES.get(name)
    if member is None:
        return {}
    where = "at the end of every stage" if member.depth is None else f"at depth {member.depth:g}"
    return {
        "weight where a recipe says none": member.weight,
        **({"layers where a recipe says none": where} if reads_layers(member) else {}),
        **({"trains beside the student": member.companion.summary} if member.companion else {}),
    }
