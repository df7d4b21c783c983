"""The samples on which a student names another class than its teacher or what the run began with, as a table for
spreadsheets."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgekd.bench.explanation import calibration
from edgekd.bench.explanation import fidelity
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import find_reference

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
    pair = find_reference(answers), STUDENT
    sure_of = [f"{role}_confidence" for role in pair]
    yield ["index", "label", *answers, *sure_of, "kl_nats"]
    cells = ["'" + name if name.startswith(FORMULA) else name for name in classes]
    sure = {role: np.exp(calibration.log_probabilities(answers[role]).max(1)) for role in pair}
    apart = fidelity.compute_divergences(*(answers[role] for role in pair))
    for row in rows:
        said = [cells[given[row].argmax()] for given in answers.values()]
        numbers = (*(sure[role][row] for role in pair), apart[row])
        yield [str(row), cells[labels[row]], *said, *(f"{number:.6g}" for number in numbers)]
