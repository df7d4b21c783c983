"""The samples on which a student names another class than its teacher, as a table for spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgekd.bench.explanation import calibration
from edgekd.bench.explanation import fidelity
from edgekd.bench.roles import ROLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a cell."""


def tabulate(
    rows: NDArray[np.int64],
    answers: Mapping[str, NDArray[np.float32]],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
) -> Iterator[list[str]]:
    """The table of the disagreements: what the sample is, who says what, how surely, how far apart."""
    yield ["index", "label", *ROLES, "teacher_confidence", "student_confidence", "kl_nats"]
    cells = ["'" + name if name.startswith(FORMULA) else name for name in classes]
    sure = {role: np.exp(calibration.log_probabilities(answers[role]).max(1)) for role in ROLES}
    apart = fidelity.compute_divergences(answers["teacher"], answers["student"])
    for row in rows:
        said = [cells[answers[role][row].argmax()] for role in ROLES]
        numbers = (sure["teacher"][row], sure["student"][row], apart[row])
        yield [str(row), cells[labels[row]], *said, *(f"{number:.6g}" for number in numbers)]
