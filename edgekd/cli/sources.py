"""``edgekd sources``: what data a recipe may name; and what lies at a path, before anything is trained."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli import members
from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.learn.data.inspection import Inspection

MOST_SHOWN = 10
"""Classes and files that are left out."""


@click.command(
    epilog="Examples: edgekd sources; edgekd sources image-folder; edgekd sources photos/"
)
@click.argument(
    "name",
    required=False,
    metavar="[NAME | PATH | SOURCE]",
    shell_complete=completions.complete_source,
)
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the public data sets.")
@click.option("--allow-code", is_flag=True, help="Let python:package.module:function run.")
@click.option("--allow-download", is_flag=True, help="Download data that are missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    name: str | None, data_dir: Path | None, allow_code: bool, allow_download: bool, as_json: bool
) -> None:
    """List the data sources, what each reads and gives; or show one by NAME; or look at the data at PATH, or read by
    SOURCE as a recipe says it, and say which source reads them, their splits, classes, counts and sizes. Nothing is
    trained."""
    from edgekd.learn.data import SOURCES

    if name is None:
        _list_all(as_json)
        return
    if name in SOURCES and not Path(name).exists():
        members.show_table(SOURCES, "data source", "data:\n  source: {}", name, as_json)
        return
    from edgekd.learn.data.inspection import inspect_data

    found = inspect_data(
        read_source(name), data_dir=data_dir, allow_code=allow_code, allow_download=allow_download
    )
    if as_json:
        print_json(describe_inspection(found))
    else:
        _show(found)


def read_source(text: str) -> str | dict[str, Any]:
    """A source as it stands on the command line: a path or a name, or a mapping in YAML's braces.

    Raises:
        InputError: if the braces hold no mapping with `name`.
    """
    from edgekd.errors import InputError
    from edgekd.recipe import text as recipe_text

    if not text.startswith("{"):
        return text
    value = recipe_text.parse(text, ".yaml", "source").value
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise InputError(f"source: got {text[:60]!r}, want {{name: SOURCE, reference: PATH, ...}}")
    return value


def _list_all(as_json: bool) -> None:
    from edgekd.errors import InputError
    from edgekd.learn.data import SOURCES
    from edgekd.table import summarize

    rows = []
    for name in SOURCES:
        try:
            member = SOURCES[name]
            gives = ", ".join(member.gives.values()) or "what is there"
            example = members.format_snippet(name, member)
            rows.append((name, summarize(member), gives, example))
        except InputError as error:
            rows.append((name, f"cannot be used: {error}", "", ""))
    keys = ("name", "reads", "gives", "example")
    if as_json:
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        print_columns([("source", "reads", "gives"), *(row[:3] for row in rows)])
        echo("\nShow one: edgekd sources image-folder. Look at your data: edgekd sources PATH")


def describe_inspection(found: Inspection) -> dict[str, Any]:
    """What was found, in JSON's types."""
    from edgekd.learn.data.proposal import find_tasks
    from edgekd.learn.data.source_text import format_source

    survey = found.survey
    return {
        "source": found.source,
        "arguments": found.arguments,
        "recipe": format_source(found.source, found.arguments),
        "reason": found.reason,
        "notes": list(survey.notes),
        "splits": survey.splits,
        "fields": survey.fields,
        "classes": survey.classes,
        "images": None if survey.images is None else survey.images._asdict(),
        "skipped": list(survey.skipped),
        "tasks": list(find_tasks(survey.fields)),
    }


def _show(found: Inspection) -> None:
    from edgekd.learn.data import SOURCES

    told = describe_inspection(found)
    survey = found.survey
    is_unlabelled = len(SOURCES[found.source].gives) == 1
    echo(f"{found.source}: {found.reason}" if found.reason else found.source)
    for note in survey.notes:
        echo(note)
    if survey.images is not None:
        echo(_sizes_text(told["images"]))
    if is_unlabelled:
        echo(f"input {', '.join(survey.fields)}; no labels")
    rows = [("split", "samples"), *((name, f"{count:,}") for name, count in survey.splits.items())]
    echo("")
    print_columns(rows)
    if any(survey.classes.values()):
        echo("")
        ordered = sorted(survey.classes.items(), key=lambda item: -item[1])
        print_columns([("class", "in training"), *((n, f"{c:,}") for n, c in ordered[:MOST_SHOWN])])
        if len(ordered) > MOST_SHOWN:
            last = ordered[-1]
            echo(f"and {len(ordered) - MOST_SHOWN} more, down to {last[1]:,} of {last[0]}")
    if survey.skipped:
        echo(f"\nLeft out, {len(survey.skipped)}:")
        for line in survey.skipped[:MOST_SHOWN]:
            echo(f"  {line}")
    echo(f"\nIn a recipe:\n\ndata:\n  source: {told['recipe']}")
    if is_unlabelled:
        echo(f"\nFor an ONNX file: edgekd quantize MODEL.onnx --data {told['recipe']}")
    tasks = ", ".join(told["tasks"])
    if tasks:
        known = found.arguments.get("reference") if found.reason else None
        where = known or f"--source {shlex.quote(told['recipe'])}"
        echo(f"\nTask: {tasks}. Write a recipe: edgekd init {where}")


def _sizes_text(images: dict[str, Any]) -> str:
    small, large = ("{} x {}".format(*images[key]) for key in ("smallest", "largest"))
    sizes = f"{small} pixels" if small == large else f"{small} to {large} pixels"
    proposed = f"; size: {images['side']} is proposed" if images["side"] else ""
    return f"images of {sizes}, of {images['looked_at']:,} that were looked at{proposed}"
