"""What `edgekd bench` requires before and after it measures; each check raises unless it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.bench.result import MeasurementDocument
    from edgekd.bench.session import Measurement

PLOTS = (".svg", ".png")


def require_drawable(plot: Path | None) -> None:
    """Require that the plot can be drawn, if one is asked for.

    Raises:
        InputError: unless its name ends in .svg or .png.
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


def require_any_measured(measured: Sequence[Measurement]) -> None:
    """Require that at least one subject was measured.

    Raises:
        InputError: if none was, and the first was refused its input.
        MachineError: if none was, and the first one's worker failed.
    """
    from edgekd.errors import InputError
    from edgekd.errors import MachineError

    if any(found.processes for found in measured):
        return
    first = measured[0]
    message = first.failure or "the budget ended before the first process"
    raise (InputError if first.refused else MachineError)(f"{first.subject.name}: {message}")


def require_all_measured(measured: Sequence[Measurement]) -> None:
    """Require that every subject was measured.

    Raises:
        Inconclusive: naming the first that was not.
    """
    from edgekd.errors import Inconclusive

    for found in measured:
        if found.failure or not found.processes:
            raise Inconclusive(f"{found.subject.name}: {found.failure or 'the budget ended'}")


def require_quiet(made: MeasurementDocument) -> None:
    """Require that the machine was fit and every interval narrow enough.

    Raises:
        Inconclusive: with the first thing that was not.
    """
    from edgekd.errors import Inconclusive

    for result in made.results:
        reasons = [*result.valid.reasons, *result.valid.warnings]
        reasons += [result.reason] if result.status != "ok" else []
        if reasons:
            raise Inconclusive(f"{result.subject.name}: the machine was not quiet: {reasons[0]}")
