"""``edgekd schema``: the JSON schemas of what edgekd reads and writes."""

from __future__ import annotations

import click

from edgekd.cli.screen import print_json


@click.command(epilog="Example: edgekd schema > recipe.schema.json")
@click.argument("what", type=click.Choice(["recipe", "result", "bench"]), default="recipe")
@click.option("--json", "as_json", is_flag=True, help="A schema is JSON with or without it.")
def command(what: str, as_json: bool) -> None:
    """Print the schema of a recipe (the default), of result.json, or of a measurement."""
    if what == "recipe":
        from edgekd.recipe import schema
    elif what == "result":
        from edgekd.report.result import schema
    else:
        from edgekd.bench.result import schema
    print_json(schema())
