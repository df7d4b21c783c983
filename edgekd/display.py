"""Draws `edgekd.progress.Progress` on stderr: a live line on a terminal, else a line now and then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.printable import escape_unprintable
from edgekd.progress import Event
from edgekd.progress import Progress
from edgekd.progress import Silent
from edgekd.units import duration_text

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PLAIN_EVERY_S = 15.0
"""Between two lines about the same work where there is no terminal."""
_REFRESH_PER_S = 5


@contextmanager
def make_display(*, quiet: bool, verbose: bool) -> Iterator[Progress]:
    """The progress display that fits what stderr is: a terminal, a notebook, a file.

    Args:
        quiet: say nothing.
        verbose: lasting lines only, but more of them.
    """
    if quiet:
        yield Silent()
        return
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    live = not verbose and (terminal or _is_notebook())
    display = _Live() if live else _Plain(1.0 if verbose else PLAIN_EVERY_S)
    try:
        yield display
    except KeyboardInterrupt:
        display.close("interrupted")
        raise
    except BaseException:
        display.close("failed")
        raise
    display.close("ended")


class _Plain:
    """One line when a stage begins and ends, and every so often between."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._label = ""
        self._began_s = self._said_s = time.monotonic()

    def stage(self, label: str) -> None:
        self.end()
        self._label = label
        self._began_s = self._said_s = time.monotonic()

    def update(self, done: int, total: int, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s < self._every_s:
            return
        self._said_s = now_s
        left_s = (now_s - self._began_s) * (total - done) / max(done, 1)
        share = f"{100 * done / max(total, 1):3.0f} %"
        self.note(f"{share}  {text}  {duration_text(left_s)} left")

    def note(self, text: str) -> None:
        _print(f"{self._label}: {text}" if self._label else text)

    def end(self) -> None:
        self.close("ended")

    def event(self, event: Event) -> None:
        pass

    def close(self, how: str) -> None:
        """Say how the running stage ended, if one runs, and after how long."""
        if self._label:
            self.note(f"{how} after {duration_text(time.monotonic() - self._began_s)}")
        self._label = ""


class _Live:
    """One line that is drawn anew; what lasts is printed above it."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._task: Any = None
        self._label = ""
        self._began_s = 0.0

    def stage(self, label: str) -> None:
        self.end()
        self._label, self._began_s = label, time.monotonic()
        self._bar = _bar()
        self._bar.start()
        self._task = self._bar.add_task(escape_unprintable(label), total=None, text="")

    def update(self, done: int, total: int, text: str) -> None:
        if self._bar is not None:
            shown_text = escape_unprintable(text)
            self._bar.update(self._task, completed=done, total=total, text=shown_text)

    def note(self, text: str) -> None:
        line = f"{self._label}: {text}" if self._label else text
        if self._bar is None:
            _print(line)
        else:
            self._bar.console.print(escape_unprintable(line), markup=False, highlight=False)

    def end(self) -> None:
        self.close("ended")

    def event(self, event: Event) -> None:
        pass

    def close(self, how: str) -> None:
        """Say how the running stage ended, if one runs, and after how long."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            took = duration_text(time.monotonic() - self._began_s)
            _print(f"{self._label}: {how} after {took}")
        self._label = ""


def _print(text: str) -> None:
    click.echo(escape_unprintable(text, keep="\n\t"), err=True)


def _is_notebook() -> bool:
    """Whether a Jupyter kernel runs this process, where rich draws without a terminal."""
    kernel = sys.modules.get("ipykernel.kernelapp")
    return kernel is not None and kernel.IPKernelApp.initialized()


def _bar() -> Bar:
    """rich is imported when the first stage runs: a run that finds all in the store needs none."""
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=20),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True)),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=_REFRESH_PER_S,
    )
