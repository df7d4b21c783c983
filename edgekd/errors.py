"""What can go wrong, by who has to act; the exit code stands on the class.

    EdgekdError            4   our bug, unless a subclass says otherwise
    ├── BudgetMissed       1   a gate or a budget was missed
    ├── InputError         2   the user's recipe, file or option is wrong
    ├── MachineError       3   device, disk, lock, missing extra
    ├── Inconclusive       5   a measurement is unstable or invalid
    └── RunInterrupted   130   SIGINT (143 for SIGTERM): nothing is lost, run again

Only the border in `edgekd.cli` prints them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path

from edgekd.printable import escape_unprintable

NUMBER = re.compile(r"[0-9]+")


class EdgekdError(Exception):
    """One line for the user: ``WHERE: got X, want Y``, and at most one hint that can be pasted."""

    exit_code = 4

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def line(self) -> str:
        """The message and its hint on one line, with control characters made visible."""
        text = f"{self} ({self.hint})" if self.hint else str(self)
        return escape_unprintable(text.replace("\n", " "))


class BudgetMissed(EdgekdError):
    """A candidate, a model or a run misses what the recipe asks of it."""

    exit_code = 1


class InputError(EdgekdError):
    """The user's recipe, file or option cannot be used."""

    exit_code = 2


class MachineError(EdgekdError):
    """The machine lacks something: a package, disk space, a device, a lock."""

    exit_code = 3


class Inconclusive(EdgekdError):
    """A measurement cannot carry a verdict."""

    exit_code = 5


class RunInterrupted(EdgekdError):
    """Stopped by a signal; what was committed stays."""

    exit_code = 130

    def __init__(self, message: str, *, signal_number: int = 2) -> None:
        super().__init__(message, hint="run the same command again to go on")
        self.exit_code = 128 + signal_number


@contextlib.contextmanager
def rename_in_errors(scratch: str | Path, name: str | Path) -> Iterator[None]:
    """While files of a user's lie in a scratch folder: errors call them as the user does.

    Raises:
        EdgekdError: the same, with `name` for `scratch` in what it says.
    """
    try:
        yield
    except EdgekdError as error:
        error.args = (str(error).replace(str(scratch), str(name)),)
        error.hint = error.hint.replace(str(scratch), str(name))
        raise


def find_nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the closest of `known` names, else the list of them."""
    import difflib  # a worker starts without it

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=max(1, len(names)), cutoff=0.5)
    if close:
        return f"did you mean {min(close, key=lambda other: _distance(name, other))!r}?"
    return f"one of: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"


def _distance(name: str, other: str) -> tuple[float, float, float]:
    """Return how far two names are apart: in their words, letter by letter, then in their numbers, so that
    ``resnet21`` is nearer to ``resnet20`` than to ``resnet32``."""
    import difflib

    words = difflib.SequenceMatcher(None, NUMBER.sub("0", name), NUMBER.sub("0", other)).ratio()
    letters = difflib.SequenceMatcher(None, name, other).ratio()
    mine, its = ([int(digits[:9]) for digits in NUMBER.findall(text)] for text in (name, other))
    return -words, -letters, sum(abs(a - b) for a, b in zip(mine, its, strict=False))
