"""How well an engine answers: its accuracy, and how close it is to the model it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd import task
from edgekd.bench import saturation

if TYPE_CHECKING:
    import numpy as np

EXACT = "fp32"
"""The precision that must answer as the trained model does; others are judged by accuracy."""


class Answers(NamedTuple):
    """How well an engine answers."""

    accuracy: float | None
    """On all validation images."""
    max_abs: float | None
    """Largest difference to the trained model's logits on the golden inputs."""
    rms: float | None
    """Root of the mean square of those differences."""
    agreement: float | None
    """Fraction of golden inputs on which both name the same class."""
    fault: str
    """Why it is not timed; empty if it is."""


def judged(
    accuracy: float, told: np.ndarray, want: np.ndarray, precision: str, tolerance: float
) -> Answers:
    """The answers with their verdict: fp32 must be the trained model's own, within `tolerance`."""
    import numpy as np

    if told.shape != want.shape:
        return Answers(
            accuracy, None, None, None, f"failed: got {told.shape} logits, want {want.shape}"
        )
    max_abs, agreement = float(np.abs(told - want).max()), task.top1_agreement(told, want)
    fault = ""
    if precision == EXACT and max_abs > tolerance:
        fault = f"failed: parity {max_abs:.1e} > {tolerance:.0e}"
    elif precision == EXACT and agreement < 1:
        fault = f"failed: top-1 agreement {agreement:.4f} < 1"
    return Answers(accuracy, max_abs, saturation.rms(want, told), agreement, fault)
