"""``edgekd methods``: the losses, the schemes and the synthesizers a recipe may name, by family."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli import members
from edgekd.cli import snippets

if TYPE_CHECKING:
    from edgekd.table import Member

_FLAGS = {"diverged": "diverged", "chance": "stayed at chance", "failed": "failed"}
"""What became of a run that did not train."""


@click.command(epilog="Examples: edgekd methods; edgekd methods kd")
@click.argument("name", required=False, shell_complete=completions.complete_method)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, as_json: bool) -> None:
    """List the losses, schemes and synthesizers a recipe may name; or show NAME: formula, inputs, settings
    and measured results. NAME may be your own loss, python:package.module:function; its file is not run."""
    from edgekd.learn.losses import FAMILIES
    from edgekd.learn.losses import LOSSES
    from edgekd.learn.schemes import CHAINS
    from edgekd.learn.schemes import SCHEMES
    from edgekd.learn.synthesis import SYNTHESIZERS
    from edgekd.table import OWN

    families: dict[str, Mapping[str, Member]] = {
        **FAMILIES,
        "schemes": SCHEMES,
        "chains": CHAINS,
        "synthesis": SYNTHESIZERS,
    }
    if added := LOSSES.from_plugins():
        families["losses of plugins"] = added
    if name is not None and name in LOSSES and name.startswith(OWN):
        families["losses of your own"] = {name: LOSSES[name]}
    members.show_families(families, "method", snippets.recipe_snippet, name, as_json, _known)


def _known(name: str) -> dict[str, Any]:
    """A loss's usual weight, where it looks, and what it was measured to do."""
    from edgekd.learn.losses import LOSSES
    from edgekd.learn.method.default_weight import describe_weight

    kept = read_measurements()
    found = kept["methods"].get(name, {})
    told = {
        f"measured, pair {pair}": f"{kept['pairs'][pair]}: {_row(row)}"
        for pair, row in found.items()
    }
    member = LOSSES.get(name)
    if member is None:
        return told
    where = _where(member)
    return {
        "weight where a recipe says none": describe_weight(member) or member.weight,
        **({"layers where a recipe says none": where} if where else {}),
        **({"trains beside the student": member.companion.summary} if member.companion else {}),
        **told,
    }


def _where(member: Member) -> str:
    """Return where a loss looks; empty where it compares answers alone."""
    from edgekd.learn.signals import pairs_layers
    from edgekd.learn.signals import reads_layers

    if not pairs_layers(member):
        return "what enters the classifier" if reads_layers(member) else ""
    where = "at the end of every stage" if member.depth is None else f"at depth {member.depth:g}"
    return f"{member.layers} of transformers, else {where}" if member.layers else where


def read_measurements() -> dict[str, dict[str, Any]]:
    """Return what benchmarks/methods found: ``methods`` by name and pair of networks, ``pairs`` in words; both empty
    where it is not there."""
    stored = importlib.resources.files("edgekd.cli").joinpath("measured.json")
    found = json.loads(stored.read_bytes()) if stored.is_file() else {}
    return {key: found.get(key, {}) for key in ("methods", "pairs")}


def _ends(interval: list[float] | None) -> str:
    """`` (-0.10 to +0.92)``; empty where no interval is known."""
    return "" if interval is None else " ({:+.2f} to {:+.2f})".format(*(100 * e for e in interval))


def _row(row: Mapping[str, Any]) -> str:
    """``82.31 %, 3 seeds, +0.41 points beside its control (-0.10 to +0.92), ...``; intervals are of several
    seeds alone."""
    from edgekd.units import percent_text

    parts = []
    if row["mean"] is not None:
        seeds = "one seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
        parts.append(f"{percent_text(row['mean'])}, {seeds}")
    for other, difference, ends in (
        ("points beside its control", row["control_difference"], row["interval"]),
        ("beside kd", row["kd_difference"], row["kd_interval"]),
    ):
        if difference is not None:
            parts.append(f"{100 * difference:+.2f} {other}{_ends(ends)}")
    if 0 < row["seeds"] < 3:
        few = "one seed calls" if row["seeds"] == 1 else "two seeds call"
        parts.append(f"{few} nothing better or worse")
    for flag, number in row["flags"].items():
        why = f": {row['error']}" if row["error"] else ""
        parts.append(f"{number} of {row['runs']} runs {_FLAGS[flag]}{why}")
    return ", ".join(parts)
