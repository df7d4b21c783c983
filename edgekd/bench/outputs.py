"""What an engine answers, asked in fresh workers, some rows each."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd import files
from edgekd.bench.engine import Engine
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.device import OUT
from edgekd.device import Device
from edgekd.device import input_path
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.field import MOST_VALUES

if TYPE_CHECKING:
    import numpy as np

    from edgekd.preprocessing import Preprocessing

INPUTS, ANSWERS = "inputs.npy", "answers.npy"
MOST_ROWS = 256
"""Of one batch."""
FIRST_BATCHES = 4
"""Of the first piece, whose time nothing foretells."""
FIRST_ROWS = 64
"""And at least so many rows: golden samples, asked one by one as they are timed, are one piece."""
PIECE_S = 60.0
"""How long each of the others is meant to take."""
SLACK = 10.0
"""How many times longer than meant a piece may take before it is given up."""
LEAST_S = 60.0
"""No piece is given up sooner: an engine may take this long to start."""


class Piece(NamedTuple):
    """Rows for one worker."""

    start: int
    stop: int
    timeout_s: float


def batch_rows(shape: Sequence[int]) -> int:
    """How many rows of `shape`, the batch left out, an engine is asked at once."""
    return max(1, min(MOST_ROWS, MOST_VALUES // max(1, math.prod(shape))))


def next_piece(
    done: int, total: int, took_s: float | None, first: int, timeout_s: float
) -> Piece | None:
    """The rows that come next, and how long they may take; None once all are answered.

    Args:
        done: rows that are answered.
        total: all of them.
        took_s: how long those took; None before the first piece.
        first: rows of the first piece.
        timeout_s: how long the first piece may take; others may take at most ten times what they
            should by what came before, and no less than a minute.
    """
    if done >= total:
        return None
    if took_s is None or not done:
        return Piece(done, min(total, done + first), timeout_s)
    row_s = max(took_s, 1e-3) / done
    rows = min(total - done, max(first, int(PIECE_S / row_s)))
    return Piece(done, done + rows, max(LEAST_S, SLACK * rows * row_s))


def outputs(
    engine: Engine,
    inputs: Path,
    *,
    preprocessing: Preprocessing | None,
    batch_size: int | None = None,
    timeout_s: float = 600,
    device: Device = local.DEVICE,
) -> np.ndarray:
    """The first output of `engine` over an .npy file, float32 [N, ...], asked piece by piece.

    Args:
        engine: what to ask.
        inputs: uint8 images [N, H, W, C] with `preprocessing`, else inputs [N, ...] as they are.
        preprocessing: how images become inputs.
        batch_size: rows at a time, where the model leaves it free; None for what their size allows.
        timeout_s: after this the worker of the first piece is killed; the others by what it took.
        device: where.

    Raises:
        InputError: if the rows do not fit the model.
        WorkerFailed: if the engine crashes, hangs or is not installed, or gives no such array.
    """
    import numpy as np

    try:
        rows = np.load(inputs, allow_pickle=False, mmap_mode="r")
        shape, total = rows.shape[1:], len(rows)
    except (ValueError, TypeError) as error:
        raise InputError(f"{inputs}: got {error}, want rows of numbers") from error
    batch = batch_size or batch_rows(shape)
    spec = {
        **engine.spec(),
        "inputs": input_path(INPUTS),
        "goal": f"{OUT}/{ANSWERS}",
        "preprocessing": None if preprocessing is None else preprocessing.model_dump(mode="json"),
        "batch": batch,
    }
    reads = {**engine.files, INPUTS: inputs}
    answers: list[np.ndarray] = []
    least = max(FIRST_BATCHES * batch, FIRST_ROWS)
    piece = next_piece(0, total, None, least, timeout_s) or Piece(0, 0, timeout_s)
    began, ahead = time.monotonic(), [piece]
    while ahead:
        start, stop, limit_s = ahead.pop()
        told = {**spec, "rows": [start, stop]}
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            goal = Path(folder)
            run_worker("outputs", told, timeout_s=limit_s, reads=reads, goal=goal, device=device)
            answers.append(read_answers(goal / ANSWERS, engine.runtime, rows=stop - start))
        took_s = time.monotonic() - began
        following = next_piece(stop, total, took_s, least, timeout_s)
        ahead += [] if following is None else [following]
    if len({part.shape[1:] for part in answers}) != 1:
        raise WorkerFailed(f"{engine.runtime}: got answers of several shapes, want one")
    return np.concatenate(answers)


def read_answers(path: Path, runtime: str, *, rows: int) -> np.ndarray:
    """What a worker left as the answers to `rows` inputs: float32 [rows, ...].

    Raises:
        WorkerFailed: if it is no such array; its numbers may still be anything.
    """
    import numpy as np

    from edgekd.learn.formats import npy

    try:
        with files.open_regular(path) as file:
            size_bytes = file.seek(0, 2)
            file.seek(0)
            answers: np.ndarray = npy.read(file, size_bytes, ANSWERS)
    except Exception as error:  # numpy's parser of headers raises anything
        raise WorkerFailed(f"{runtime}: got no readable answers: {error}") from error
    if answers.dtype != np.float32 or answers.ndim < 1 or len(answers) != rows:
        raise WorkerFailed(
            f"{runtime}: got answers {answers.dtype} {list(answers.shape)}, want float32 for {rows} rows"
        )
    return answers
