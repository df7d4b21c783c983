"""What an engine answers, asked in fresh workers, some rows each."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd import files
from edgekd import splits
from edgekd.bench.engine import Engine
from edgekd.bench.input_rows import join_rows
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.device import OUT
from edgekd.device import Device
from edgekd.device import input_path
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.field import MOST_VALUES
from edgekd.field import RaggedRows
from edgekd.field import form_text
from edgekd.task import MOST_OUTPUT_VALUES

if TYPE_CHECKING:
    import numpy as np

    from edgekd.field import Arrays
    from edgekd.field import Field
    from edgekd.field import Rows

INPUTS, ANSWERS = "inputs.split", "answers.split"
MOST_ROWS = 256
"""Of one batch."""
FIRST_BATCHES = 4
"""Of the first piece, whose time nothing foretells."""
FIRST_ROWS = 64
"""And at least so many rows: golden samples, asked one by one as they are timed, are one piece."""
OPENING_ROWS = 8
"""Of the first piece on another machine, which may be slow."""
PIECE_S = 60.0
"""How long each of the others is meant to take."""
SHORT_S = 5.0
"""How long all rows may take to be one piece."""
SLACK = 10.0
"""How many times longer than meant a piece may take before it is given up."""
LEAST_S = 60.0
"""No piece is given up sooner: an engine may take this long to start."""


class RowPiece(NamedTuple):
    """Rows for one worker."""

    start: int
    stop: int
    timeout_s: float


def batch_rows(values: int, outputs: int = 0) -> int:
    """Return how many rows of so many values, and so many that are answered, an engine is asked at once."""
    most = min(MOST_VALUES // max(1, values), MOST_OUTPUT_VALUES // max(1, outputs))
    return max(1, min(MOST_ROWS, most))


def next_piece(
    done: int, total: int, took_s: float | None, first: int, timeout_s: float
) -> RowPiece | None:
    """The rows that come next, and how long they may take; None once all are answered.

    Args:
        done: rows that are answered.
        total: all of them.
        took_s: how long those took; None before the first piece.
        first: fewest rows of a piece.
        timeout_s: how long the first piece may take; others may take at most ten times what they
            should by what came before, and no less than a minute.
    """
    if done >= total:
        return None
    if took_s is None or not done:
        return RowPiece(done, min(total, done + first), timeout_s)
    row_s = max(took_s, 1e-3) / done
    rows = min(total - done, max(first, int(PIECE_S / row_s)))
    return RowPiece(done, done + rows, max(LEAST_S, SLACK * rows * row_s))


def first_rows(batch: int, timeout_s: float, row_s: float | None, *, is_near: bool) -> int:
    """Rows of the first piece: so many that a start pays, where they may be expected in time.

    Args:
        batch: rows that the engine is asked at once.
        timeout_s: how long they may take.
        row_s: what one took elsewhere; None where that is not known.
        is_near: whether it is this machine that is asked.
    """
    most = max(FIRST_BATCHES * batch, FIRST_ROWS)
    if row_s is None:
        return most if is_near else min(most, OPENING_ROWS)
    return most if most * row_s <= timeout_s / 2 else max(1, int(timeout_s / 2 / row_s))


def divide_rows(
    total: int,
    batch: int,
    timeout_s: float,
    *,
    row_s: float | None = None,
    device: Device = local.DEVICE,
) -> Iterator[RowPiece]:
    """Yield pieces of `total` rows, each as large as the time that those before took allows.

    Where it is known that all take little time, one worker gets them: each start costs more than they do.

    Args:
        total: rows.
        batch: rows that the engine is asked at once.
        timeout_s: how long the first piece may take.
        row_s: what a row took elsewhere; None where that is not known.
        device: where.
    """
    if row_s is not None and total * row_s <= min(SHORT_S, timeout_s / 2):
        yield RowPiece(0, total, timeout_s)
        return
    most = max(FIRST_BATCHES * batch, FIRST_ROWS)
    first = first_rows(batch, timeout_s, row_s, is_near=device is local.DEVICE)
    began, done, took_s = time.monotonic(), 0, None
    while (piece := next_piece(done, total, took_s, first, timeout_s)) is not None:
        yield piece
        first = min(most, max(first, piece.stop))
        done, took_s = piece.stop, time.monotonic() - began


def compute_outputs(
    engine: Engine,
    inputs: Path,
    *,
    fields: Mapping[str, Field] | None = None,
    batch_size: int | None = None,
    timeout_s: float = 600,
    row_s: float | None = None,
    device: Device = local.DEVICE,
) -> dict[str, np.ndarray]:
    """The outputs of `engine` over a split (`edgekd.splits`), by name, float32 [N, ...], asked piece by piece.

    Args:
        engine: what to ask.
        inputs: stored rows of `fields`, among others; without them the model's inputs as they are.
        fields: the inputs of a data set, which make a model's inputs of stored rows.
        batch_size: rows at a time, where the model leaves it free; None for what their size allows.
        timeout_s: after this the worker of the first piece is killed; the others by what it took.
        row_s: what a row took elsewhere; None where that is not known.
        device: where.

    Raises:
        InputError: if the rows do not fit the model.
        WorkerFailed: if the engine crashes, hangs or is not installed, or gives no such arrays.
    """
    rows = splits.read(inputs)
    total = len(next(iter(rows.values())))
    if not total:
        raise InputError(f"{inputs}: got no samples, want some")
    batch = batch_size or batch_rows(sum(count_values(rows[name]) for name in fields or rows))
    spec = {
        **engine.spec(),
        "inputs": input_path(INPUTS),
        "goal": f"{OUT}/{ANSWERS}",
        "fields": None if fields is None else {k: field.to_json() for k, field in fields.items()},
        "batch": batch,
        "call": {} if fields else _call(rows),
    }
    reads = {**engine.files, INPUTS: inputs}
    parts: list[dict[str, np.ndarray]] = []
    for start, stop, limit_s in divide_rows(total, batch, timeout_s, row_s=row_s, device=device):
        told = {**spec, "rows": [start, stop]}
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            goal = Path(folder)
            run_worker("outputs", told, timeout_s=limit_s, reads=reads, goal=goal, device=device)
            parts.append(read_answers(goal / ANSWERS, engine.runtime, rows=stop - start))
    vary = any(isinstance(each, RaggedRows) for each in rows.values())
    if len({_form(part, vary=vary) for part in parts}) != 1:
        raise WorkerFailed(f"{engine.runtime}: got answers of several shapes, want one")
    return {name: join_rows([part[name] for part in parts]) for name in parts[0]}


def _form(answers: Arrays, *, vary: bool) -> tuple[tuple[str, object], ...]:
    """What answers of all pieces have in common: names and shapes of a row, or only how many axes those have."""
    return tuple((name, each.ndim if vary else each.shape[1:]) for name, each in answers.items())


def _call(inputs: Mapping[str, Rows]) -> dict[str, list[list[int | None]]]:
    """The shape of each input, which an engine may compile for; the batch is left open."""
    return {
        name: [[None, *each.shape[1:]]]
        for name, each in inputs.items()
        if not isinstance(each, RaggedRows)
    }


def count_values(rows: Rows) -> int:
    """Values of one row, of rows of several lengths of the longest."""
    if isinstance(rows, RaggedRows):
        return int(rows.lengths.max(initial=0)) * math.prod(rows.values.shape[1:])
    return math.prod(rows.shape[1:])


def write_inputs(inputs: Arrays, path: Path) -> Path:
    """A model's inputs by name as the file that `compute_outputs` takes; scratch, not kept."""
    import numpy as np

    splits.write(path, dict(inputs), np.arange(len(next(iter(inputs.values())))))
    return path


def read_answers(path: Path, runtime: str, *, rows: int) -> dict[str, np.ndarray]:
    """Return what a worker left as the answers to `rows` inputs: by name, float32 [rows, ...].

    Raises:
        WorkerFailed: if they are no such arrays; their numbers may still be anything.
    """
    import numpy as np

    try:
        with files.open_regular(path):
            answers = splits.read(path)
    except InputError as error:
        raise WorkerFailed(f"{runtime}: got no readable answers: {error}") from error
    for name, each in answers.items():
        if isinstance(each, RaggedRows) or each.dtype != np.float32 or len(each) != rows:
            raise WorkerFailed(
                f"{runtime}: got answers {name} {form_text(each)}, want float32 for {rows} rows"
            )
    return {name: np.array(each) for name, each in answers.items()}
