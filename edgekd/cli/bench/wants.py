"""What `edgekd bench` insists on before and after it measures; each raises if it does not hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.bench.result import Document
    from edgekd.bench.session import Measured

PLOTS = (".svg", ".png")


def drawable(plot: Path | None) -> None:
    """Nothing, if the plot can be drawn.

    Raises:
        InputError: if it is to be neither svg nor png.
        MachineError: if matplotlib is missing.
    """
    import importlib.util

    from edgekd.errors import InputError
    from edgekd.errors import MachineError

    if plot is None:
        return
    if plot.suffix not in PLOTS:
        raise InputError(f"--plot: got {plot.name!r}, want a name that ends in .svg or .png")
    if importlib.util.find_spec("matplotlib") is None:
        raise MachineError(
            "--plot: matplotlib is not installed", hint="pip install 'edgekd[report]'"
        )


def one(measured: Sequence[Measured]) -> None:
    """Nothing, if one subject was measured.

    Raises:
        InputError: if none was, and the first was refused.
        MachineError: if none was, and the first one's worker failed.
    """
    from edgekd.errors import InputError
    from edgekd.errors import MachineError

    if any(found.processes for found in measured):
        return
    first = measured[0]
    message = first.failure or "the budget ended before the first process"
    raise (InputError if first.refused else MachineError)(f"{first.subject.name}: {message}")


def every(measured: Sequence[Measured]) -> None:
    """Nothing, if every subject was measured.

    Raises:
        Inconclusive: naming the first that was not.
    """
    from edgekd.errors import Inconclusive

    for found in measured:
        if found.failure or not found.processes:
            raise Inconclusive(f"{found.subject.name}: {found.failure or 'the budget ended'}")


def quiet(made: Document) -> None:
    """Nothing, if the machine was fit and every interval as narrow as wanted.

    Raises:
        Inconclusive: with the first thing that was not.
    """
    from edgekd.errors import Inconclusive

    for result in made.results:
        told = [*result.valid.reasons, *result.valid.warnings]
        told += [result.reason] if result.status != "ok" else []
        if told:
            raise Inconclusive(f"{result.subject.name}: the machine was not quiet: {told[0]}")
