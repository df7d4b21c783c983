"""What can go wrong, by who has to act; the exit code stands on the class.

    EdgekdError            4   our bug, unless a subclass says otherwise
    ├── BudgetMissed       1   a gate or a budget was missed
    ├── InputError         2   the user's recipe, file or option is wrong
    ├── MachineError       3   device, disk, lock, missing extra
    ├── Inconclusive       5   a measurement is unstable or invalid
    └── Interrupted      130   SIGINT (143 for SIGTERM): nothing is lost, run again

Only the border in `edgekd.cli` prints them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from edgekd.printable import escape_unprintable


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
    """What the user gave cannot be used."""

    exit_code = 2


class MachineError(EdgekdError):
    """The machine lacks something: a package, disk space, a device, a lock."""

    exit_code = 3


class Inconclusive(EdgekdError):
    """A measurement cannot carry a verdict."""

    exit_code = 5


class Interrupted(EdgekdError):
    """Stopped by a signal; what was committed stays."""

    exit_code = 130

    def __init__(self, message: str, *, signal_number: int = 2) -> None:
        super().__init__(message, hint="run the same command again to go on")
        self.exit_code = 128 + signal_number


def nearest(name: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` for the closest of `known` names, else the list of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"one of: {', '.join(names[:12])}{', ...' if len(names) > 12 else ''}"
