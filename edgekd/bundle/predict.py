"""Answers a user's questions with the model of a bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd import splits
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.score_job import name_outputs
from edgekd.bundle import Bundle
from edgekd.bundle import engine as bundle_engine
from edgekd.bundle import require_task_fits
from edgekd.bundle.user_inputs import Question
from edgekd.bundle.user_inputs import join_rows
from edgekd.device import TIMEOUT_S
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.tasks import load_task

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Prediction(NamedTuple):
    """One question and what is answered."""

    name: str
    prepared: str
    answers: tuple[tuple[str, float | None], ...]
    """Text, with its probability where there is one; the likeliest first."""
    decisions: Mapping[str, NDArray[Any]] = {}
    """What the task decides, by its names, such as the class of every pixel [H, W]."""
    outputs: Mapping[str, NDArray[Any]] = {}
    """What the model gives, by the names of the task's outputs, such as the logits [C]."""


def predict(
    found: Bundle,
    questions: Sequence[Question],
    *,
    top: int,
    runtime: str | None = None,
    timeout_s: float = TIMEOUT_S,
    device: Device = local.DEVICE,
    allow_code: bool = False,
) -> list[Prediction]:
    """Ask the bundle's model, in a fresh worker.

    Args:
        found: the bundle, checked.
        questions: rows that fit the data's inputs.
        top: lines of each answer.
        runtime: which engine; None takes the chosen one if it is installed, else any that is.
        timeout_s: after this the engine is given up.
        device: where.
        allow_code: whether the author's own task may run.

    Raises:
        InputError: if the task may not run, the engine refuses the model, or its outputs are not what the
            interface says or not finite.
        MachineError: if no engine is there, or it crashes.
    """
    name = found.manifest.name
    task = load_task(found.dataset.task, allow_code=allow_code)
    require_task_fits(found, task)
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        scratch = Path(folder)
        engine = bundle_engine.prepare_engine(
            found, runtime, scratch, timeout_s=timeout_s, device=device
        )
        if isinstance(engine, str):
            raise MachineError(engine)
        rows = {
            key: join_rows([one.rows[key] for one in questions]) for key in found.dataset.inputs
        }
        splits.write(scratch / "rows.split", rows, np.arange(len(questions)))
        answered = compute_outputs(
            engine,
            scratch / "rows.split",
            fields=found.dataset.inputs,
            timeout_s=timeout_s,
            device=device,
        )
    try:
        named = name_outputs(answered, found.interface.outputs)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    decided = task.decide(named, found.dataset)
    if task.describe_inputs is None:
        told = task.describe(decided, found.dataset, top)
    else:
        told = task.describe_inputs(decided, rows, found.dataset, top)
    if len(told) != len(questions):
        raise InputError(f"{name}: task: got {len(told)} answers, want {len(questions)}")
    return [
        Prediction(
            one.name,
            one.prepared,
            tuple(lines),
            {key: rows[i] for key, rows in decided.items()},
            {key: rows[i] for key, rows in named.items()},
        )
        for i, (one, lines) in enumerate(zip(questions, told, strict=True))
    ]
