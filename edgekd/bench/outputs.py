"""What an engine answers, asked in a fresh worker."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd import files
from edgekd.bench.engine import Engine
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.device import OUT
from edgekd.device import Device
from edgekd.device import inside
from edgekd.devices import local

if TYPE_CHECKING:
    import numpy as np

    from edgekd.preprocessing import Preprocessing

INPUTS, ANSWERS = "inputs.npy", "answers.npy"


def outputs(
    engine: Engine,
    inputs: Path,
    *,
    preprocessing: Preprocessing | None,
    batch_size: int = 256,
    timeout_s: float = 600,
    device: Device = local.DEVICE,
) -> np.ndarray:
    """The first output of `engine` over an .npy file, float32 [N, ...].

    Args:
        engine: what to ask.
        inputs: uint8 images [N, H, W, C] with `preprocessing`, else inputs [N, ...] as they are.
        preprocessing: how images become inputs.
        batch_size: rows at a time, where the model leaves it free.
        timeout_s: after this the worker is killed.
        device: where.

    Raises:
        InputError: if the rows do not fit the model.
        WorkerFailed: if the engine crashes, hangs or is not installed, or gives no such array.
    """
    import numpy as np

    fields = None if preprocessing is None else preprocessing.model_dump(mode="json")
    spec = {
        **engine.spec(),
        "inputs": inside(INPUTS),
        "goal": f"{OUT}/{ANSWERS}",
        "preprocessing": fields,
        "batch": batch_size,
    }
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        goal = Path(folder)
        run_worker(
            "outputs",
            spec,
            timeout_s=timeout_s,
            reads={**engine.files, INPUTS: inputs},
            goal=goal,
            device=device,
        )
        rows = np.load(inputs, allow_pickle=False, mmap_mode="r")  # the worker could read them
        return read_answers(goal / ANSWERS, engine.runtime, rows=len(rows))


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
