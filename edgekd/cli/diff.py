"""``edgekd diff``: in what two runs differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli import completions
from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.report.run_difference import FigureDifference

MOST_ROWS = 40
"""Facts of one kind that are printed; ``--json`` has all."""
TITLES = ("name", "step", "runtime")
"""Keys that say which of several a mapping is."""
LONGEST = 60
"""Letters of a value that are printed."""


@click.command(epilog="Example: edgekd diff runs/quickstart runs/quickstart-2")
@click.argument(
    "first", metavar="RUN", shell_complete=completions.complete_run, type=click.Path(path_type=Path)
)
@click.argument(
    "second",
    metavar="RUN",
    shell_complete=completions.complete_run,
    type=click.Path(path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(first: Path, second: Path, as_json: bool) -> None:
    """Show in what two runs differ: settings, data, versions, machine, and figures with their 95 % intervals.

    Intervals that overlap say that nothing is proven; `edgekd gate` runs both again and judges. The exit code is 0,
    whatever differs.
    """
    from edgekd.report import result
    from edgekd.report import run_difference

    found = run_difference.compare_runs(result.read(first), result.read(second))
    facts = {name: getattr(found, name) for name in ("settings", "data", "versions", "machine")}
    if as_json:
        rows = {name: [each._asdict() for each in of] for name, of in facts.items()}
        figures = [{**each._asdict(), "intervals": each.overlap} for each in found.figures]
        print_json({"first": str(first), "second": str(second), **rows, "figures": figures})
        return
    for name, of in facts.items():
        if not of:
            echo(f"{name}: the same")
            continue
        echo(f"{name}:")
        print_columns(
            (f"  {each.key}", _shorten(each.first), _shorten(each.second))
            for each in of[:MOST_ROWS]
        )
        if len(of) > MOST_ROWS:
            echo(f"  and {len(of) - MOST_ROWS} more; --json has them all")
    if not found.figures:
        echo("figures: the same")
        return
    echo("figures:")
    header = ("  figure", "first", "second", "95 % intervals")
    print_columns([header, *map(_figure_row, found.figures)])


def _figure_row(figure: FigureDifference) -> tuple[str, ...]:
    first, second = (
        _with_interval(text, interval)
        for text, interval in (
            (figure.first_text, figure.first_ci95),
            (figure.second_text, figure.second_ci95),
        )
    )
    return (
        f"  {figure.figure}",
        first,
        second,
        "" if figure.overlap == "unknown" else figure.overlap,
    )


def _with_interval(text: str, interval: tuple[float, float] | None) -> str:
    if interval is None:
        return text
    factor = 100 if text.endswith("%") else 1
    low, high = (f"{factor * end:.4g}" for end in interval)
    return f"{text} ({low} to {high})"


def _shorten(value: Any) -> str:
    if isinstance(value, dict):  # what it is called first: the rest may be cut off
        value = dict(sorted(value.items(), key=lambda item: item[0] not in TITLES))
    text = "–" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
