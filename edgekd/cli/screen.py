"""How much a verb prints, and its two forms: JSON and columns."""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

_said_s: float | None = None


@dataclass(slots=True)
class Volume:
    """The options ``-q``, ``-v`` and ``--debug``, given before the verb or after it."""

    quiet: bool = False
    verbose: bool = False
    debug: bool = False


def get_volume() -> Volume:
    """The volume of the running command."""
    found = click.get_current_context().find_root().ensure_object(Volume)
    assert isinstance(found, Volume)
    return found


def _set(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        setattr(context.find_root().ensure_object(Volume), str(option.name), True)
        if option.name != "quiet":
            warnings.simplefilter("default")


def add_volume(command: click.Command) -> click.Command:
    """`command`, and the commands in it, with ``-q``, ``-v`` and ``--debug``."""
    taken = {name for param in command.params for name in param.opts}
    for names, text in (
        (("-q", "--quiet"), "Print results and errors only."),
        (("-v", "--verbose"), "Print more, warnings of libraries too."),
        (("--debug",), "Show the traceback of an error."),
    ):
        if taken.isdisjoint(names):
            command.params.append(
                click.Option(
                    names, is_flag=True, expose_value=False, is_eager=True, help=text, callback=_set
                )
            )
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        add_volume(inner)
    return command


def echo(text: str = "", *, nl: bool = True, err: bool = False) -> None:
    """Print `text`; what a terminal would act on is made visible, but for line ends and tabs."""
    from edgekd.printable import escape_unprintable

    click.echo(escape_unprintable(text, keep="\n\t"), nl=nl, err=err)


def show_running(text: str) -> None:
    """Show what runs now: on one line that is drawn anew, where there is no terminal in a line now and then."""
    if get_volume().quiet:
        return
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
        echo(text, nl=False, err=True)
    elif text and _is_due(time.monotonic()):
        echo(text, err=True)


def _is_due(now_s: float) -> bool:
    """Return whether the last line, or the first thing to say, is `PLAIN_EVERY_S` ago."""
    from edgekd.display import PLAIN_EVERY_S

    global _said_s
    _said_s = now_s if _said_s is None else _said_s
    due = now_s - _said_s >= PLAIN_EVERY_S
    _said_s = now_s if due else _said_s
    return due


def print_json(value: Any) -> None:
    """`value` as JSON with an indent of two."""
    echo(json.dumps(value, indent=2, allow_nan=False))


def print_columns(rows: Iterable[Sequence[str]]) -> None:
    """Rows with their columns aligned; all but the last column keep their width."""
    lines = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        echo("  ".join(cells).rstrip())
