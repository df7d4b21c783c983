"""``edgekd methods``: the losses, the schemes and the synthesizers a recipe may name, by family."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
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

    found = measured().get(name, {})
    told = {f"measured, pair {pair}": _row(row) for pair, row in found.items()}
    member = LOSSES.get(name)
    if member is None:
        return told
    where = "at the end of every stage" if member.depth is None else f"at depth {member.depth:g}"
    return {
        "weight where a recipe says none": member.weight,
        **({"layers where a recipe says none": where} if reads_layers(member) else {}),
        **({"trains beside the student": member.companion.summary} if member.companion else {}),
        **told,
    }


def measured() -> dict[str, dict[str, dict[str, Any]]]:
    """By method and pair of networks, what benchmarks/methods found; empty where it is not there."""
    stored = importlib.resources.files("edgekd.learn").joinpath("measured.json")
    return dict(json.loads(stored.read_bytes())) if stored.is_file() else {}


def _row(row: Mapping[str, Any]) -> str:
    """``82.31 %, seeds: 3, +0.41 points beside its control (-0.10 to +0.92), +0.12 beside kd``"""
    from edgekd.units import percent_text

    text = f"{percent_text(row['mean'])}, seeds: {row['seeds']}"
    if row["control_difference"] is not None:
        text += f", {100 * row['control_difference']:+.2f} points beside its control"
    if row["interval"] is not None:
        low, high = row["interval"]
        text += f" ({100 * low:+.2f} to {100 * high:+.2f})"
    if row["kd_difference"] is not None:
        text += f", {100 * row['kd_difference']:+.2f} beside kd"
    return text
