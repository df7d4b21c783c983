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
from edgekd.bench.input_rows import join_rows as join_outputs
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.score_job import name_outputs
from edgekd.bench.size_buckets import assign_buckets
from edgekd.bench.size_buckets import read_lengths
from edgekd.bundle import Bundle
from edgekd.bundle import engine as bundle_engine
from edgekd.bundle import require_task_fits
from edgekd.bundle.models import list_bounds
from edgekd.bundle.models import models_by_size
from edgekd.bundle.models import usual_model
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

    from edgekd.field import Rows


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
    rows = {key: join_rows([one.rows[key] for one in questions]) for key in found.dataset.inputs}
    named = _answer(found, rows, len(questions), runtime, timeout_s, device)
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


def _answer(
    found: Bundle,
    rows: Mapping[str, Rows],
    count: int,
    runtime: str | None,
    timeout_s: float,
    device: Device,
) -> dict[str, NDArray[Any]]:
    """Outputs [count, ...] of stored rows by their names, each row asked of the model for its size."""
    models = models_by_size(found) or [usual_model(found)]
    table = found.manifest.by_size
    buckets = np.zeros(count, np.int64)
    if table is not None:
        lengths = read_lengths(found.dataset, table.axis, rows)
        buckets = assign_buckets(lengths, list_bounds(found))
    parts: dict[str, list[NDArray[Any]]] = {}
    order = []
    for number in np.unique(buckets).tolist():
        own = np.flatnonzero(buckets == number)
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            scratch = Path(folder)
            engine = bundle_engine.prepare_engine(
                models[number], runtime, scratch, timeout_s=timeout_s, device=device
            )
            if isinstance(engine, str):
                raise MachineError(engine)
            splits.write(scratch / "rows.split", rows, own)
            answers = compute_outputs(
                engine,
                scratch / "rows.split",
                fields=found.dataset.inputs,
                timeout_s=timeout_s,
                device=device,
            )
        try:
            named = name_outputs(answers, found.interface.outputs)
        except ValueError as error:
            raise InputError(f"{found.manifest.name}: {error}") from error
        for name, each in named.items():
            parts.setdefault(name, []).append(each)
        order.append(own)
    back = np.argsort(np.concatenate(order))
    return {name: join_outputs(each)[back] for name, each in parts.items()}
