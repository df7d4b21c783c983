"""``edgekd schema``: the JSON schemas of what edgekd reads and writes."""

from __future__ import annotations

import importlib

import click

from edgekd.cli.screen import print_json

SCHEMAS = {
    "recipe": "edgekd.recipe",
    "result": "edgekd.report.result",
    "bench": "edgekd.bench.result",
    "compare": "edgekd.bench.pair.document",
    "gates": "edgekd.gating.policy",
    "gate": "edgekd.report.gate_result",
    "sweep": "edgekd.sweep.document",
}
"""What has a schema, and the module whose function ``schema`` gives it."""


@click.command(epilog="Example: edgekd schema > recipe.schema.json")
@click.argument("what", type=click.Choice(list(SCHEMAS)), default="recipe")
@click.option("--json", "as_json", is_flag=True, help="A schema is JSON with or without it.")
def command(what: str, as_json: bool) -> None:
    """Print the JSON schema of a recipe (the default), of result.json, of what `bench` and `bench compare`
    print, of a policy of gates, of what `gate` prints, or of sweep.json."""
    print_json(importlib.import_module(SCHEMAS[what]).schema())
