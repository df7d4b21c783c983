"""How much a verb prints, and its two forms: JSON and columns."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
import textwrap
import time
import warnings
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

PLAIN_SIZE = (80, 24)
"""Columns and lines where nobody says how large the terminal is."""
NARROWEST, GAP, LONG_WORD = 40, 2, 40
"""Columns that a table takes at least, those between two of its columns, and letters of a word that may be broken."""
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
    """Print rows with their columns aligned; where the terminal is narrower, the widest columns are wrapped."""
    from edgekd.printable import escape_unprintable

    lines = [tuple(map(escape_unprintable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    room = _count_columns() - GAP * (len(widths) - 1)
    if sum(widths) > room:
        words = [max(map(_longest_word, column)) for column in zip(*lines, strict=True)]
        widths = _shrink_widths(widths, words, room)
    for line in lines:
        cells = [_wrap_cell(cell, width) for cell, width in zip(line, widths, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            echo((" " * GAP).join(padded).rstrip())


def print_paragraph(text: str) -> None:
    """Print `text`, wrapped where the terminal is narrower."""
    echo("\n".join(_wrap_cell(text, _count_columns())))


def _count_columns() -> int:
    return max(shutil.get_terminal_size(PLAIN_SIZE).columns, NARROWEST)


def _longest_word(cell: str) -> int:
    return max((len(word) for word in cell.split()), default=0)


def _shrink_widths(widths: Sequence[int], words: Sequence[int], room: int) -> list[int]:
    """Take from the widest columns until all fit `room`; below their longest words only if nothing else helps."""
    found = list(widths)
    while sum(found) > room and max(found) > 1:
        roomy = [i for i, width in enumerate(found) if width > max(1, min(words[i], LONG_WORD))]
        widest = max(roomy or range(len(found)), key=found.__getitem__)
        found[widest] -= 1
    return found


def _wrap_cell(cell: str, width: int) -> list[str]:
    if len(cell) <= width:
        return [cell]
    indent = cell[: min(len(cell) - len(cell.lstrip()), width - 1)]
    must_break = _longest_word(cell) > width  # then better at a hyphen than anywhere
    return textwrap.wrap(cell, width, subsequent_indent=indent, break_on_hyphens=must_break) or [""]
