"""The samples on which a student is the farthest from its teacher, as a person looks at them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.bench.explanation.png import encode_png
from edgekd.units import percent_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays
    from edgekd.field import Field
    from edgekd.field import Rows
    from edgekd.task import Task

LINES = 2
"""Of what a model decides on a sample."""
LONGEST = 300
"""Characters of a text that are shown."""


def describe_samples(
    task: Task,
    dataset: Dataset,
    rows: Mapping[str, Rows],
    decided: Mapping[str, Arrays],
    numbers: Sequence[int],
) -> list[dict[str, Any]]:
    """Return of each sample its number, what is known of it, and what each model decides.

    Each of these is a list of parts: a ``name``, and ``text`` or ``png`` (base64); a field that nobody can look at
    has none.

    Args:
        task: which describes decisions.
        dataset: whose fields the rows are of.
        rows: of a split, by field.
        decided: the decisions of each model on those samples alone.
        numbers: of the samples, rows of the split.
    """
    at = np.asarray(numbers, np.int64)
    if not len(at):
        return []
    fields = {**dataset.inputs, **dataset.targets}
    lines = {role: task.describe(each, dataset, LINES) for role, each in decided.items()}
    found = []
    for place, number in enumerate(at.tolist()):
        one = {name: rows[name][at[place : place + 1]] for name in fields if name in rows}
        known = [_part(name, fields[name].preview(each)) for name, each in one.items()]
        says = []
        for role, each in decided.items():
            pictures = [_part(role, shown) for shown in _maps(dataset, one, each, place)]
            says += pictures or [_part(role, "; ".join(map(_line, lines[role][place])))]
        found.append(
            {
                "index": number,
                "known": [part for part in known if part is not None],
                "says": [part for part in says if part is not None],
            }
        )
    return found


def _maps(
    dataset: Dataset, one: Mapping[str, Rows], decided: Arrays, place: int
) -> Iterator[NDArray[Any]]:
    """Decisions that look like a target of which there is a picture."""
    for name, field in dataset.targets.items():
        row = one.get(name)
        if isinstance(row, np.ndarray) and not isinstance(field.preview(row), str | None):
            yield from _alike(field, row, decided, place)


def _alike(field: Field, row: NDArray[Any], decided: Arrays, place: int) -> Iterator[NDArray[Any]]:
    for each in decided.values():
        mine = each[place : place + 1]
        if mine.shape == row.shape and np.issubdtype(mine.dtype, np.integer):
            shown = field.preview(mine)
            if not isinstance(shown, str | None):
                yield shown


def _part(name: str, shown: str | NDArray[Any] | None) -> dict[str, str] | None:
    if shown is None or isinstance(shown, str):
        return {"name": name, "text": _shorten(shown)} if shown else None
    return {"name": name, "png": base64.b64encode(encode_png(shown)).decode()}


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _line(line: tuple[str, float | None]) -> str:
    text, share = line
    return text if share is None else f"{text} {percent_text(share)}"
