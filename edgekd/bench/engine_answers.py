"""Asks an engine, before it is timed, for its score and for its answers to the golden inputs."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd.bench import golden
from edgekd.bench import scores
from edgekd.bench.answers import Answers
from edgekd.bench.answers import RoundingNoise
from edgekd.bench.answers import judge_answers
from edgekd.bench.answers import refuse_answers
from edgekd.bench.answers import refuse_below_floor
from edgekd.bench.call import CallPlan
from edgekd.bench.call import InputPlan
from edgekd.bench.differences import are_finite
from edgekd.bench.differences import compare_answers
from edgekd.bench.differences import compare_decisions
from edgekd.bench.engine import Engine
from edgekd.bench.golden import Golden
from edgekd.bench.golden import GoldenGroup
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd.bench.parity_file import read_rounding
from edgekd.bench.parity_file import read_steps
from edgekd.bench.process import WorkerFailed
from edgekd.bench.score_job import name_outputs
from edgekd.bench.status import FAILED
from edgekd.bench.status import Status
from edgekd.dataset import Dataset
from edgekd.device import Device
from edgekd.errors import InputError
from edgekd.task import Task
from edgekd.task import agree_samples
from edgekd.task import interface_of
from edgekd.task import metric_values

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Arrays


class GoldenSamples(NamedTuple):
    """The golden inputs and answers of one exported model."""

    groups: Golden
    inputs: dict[str, Path]
    """By group, its inputs as a split; the usual ones are timed, too."""
    steps: dict[str, float]
    """Of a quantized model by output, how far one code of its last layer's input moves a number, where known."""
    noise: RoundingNoise
    """Of a quantized model, what rounding alone does to its answers."""

    @property
    def call(self) -> CallPlan:
        """How the usual inputs are shaped, if more than the batch is free."""
        return plan_usual_call(self.groups)


class AgreementFloor(NamedTuple):
    """What a student's engine has to have in common with the student in float32."""

    groups: Golden
    """The golden samples, with that one's answers."""
    least: float
    """The mean over them of the task's `agree`."""


def plan_usual_call(groups: Golden) -> CallPlan:
    """Plan a call of golden samples' usual size; where only the batch is free there is nothing to plan."""
    return plan_group_call(groups[golden.USUAL]) if len(groups) > 1 else CallPlan({})


def plan_group_call(group: GoldenGroup) -> CallPlan:
    """Plan a call of the size of a group's golden samples."""
    shapes = {name: InputPlan((None, *each.shape[1:])) for name, each in group.inputs.items()}
    return CallPlan(shapes)


def read_samples(name: str, given: Mapping[str, Path], folder: Path) -> GoldenSamples:
    """The golden samples of the export called `name`; their inputs are written into `folder`."""
    groups = golden.read(given[f"{name}/golden"])
    inputs = {
        group: write_inputs(each.inputs, folder / f"{name}-{group}.split")
        for group, each in groups.items()
    }
    parity = json.loads(given[f"{name}/parity"].read_bytes())
    return GoldenSamples(groups, inputs, read_steps(parity, groups), read_rounding(parity))


def ask_engine(
    engine: Engine,
    samples: GoldenSamples,
    validation: Path,
    data: Dataset,
    task: Task,
    *,
    tolerance: float,
    timeout_s: float,
    device: Device,
    floor: AgreementFloor | None = None,
) -> Answers:
    """Its score on the validation split and how close it is to the model it was made from; a failure is a fault.

    Args:
        engine: what is asked.
        samples: what it has to answer, one by one as it is timed.
        validation: a split of the data's fields.
        data: what its rows are.
        task: by which it is judged.
        tolerance: of float32 outputs, see `edgekd.bench.answers.float_allowance`.
        timeout_s: after this a worker is killed.
        device: where.
        floor: below which it is refused; None of what is no student.
    """
    began = time.monotonic()
    try:
        answered = {
            name: compute_outputs(engine, path, batch_size=1, timeout_s=timeout_s, device=device)
            for name, path in samples.inputs.items()
        }
        asked = sum(group.sample_count for group in samples.groups.values())
        row_s = (time.monotonic() - began) / asked
        rows = scores.score_engine(
            engine, validation, data, task, timeout_s=timeout_s, row_s=row_s, device=device
        )
    except (WorkerFailed, InputError) as error:
        return refuse_answers(Status(FAILED, str(error)))
    if not are_finite(answered):
        return refuse_answers(Status(FAILED, "got answers that are not finite"))
    try:
        agree = functools.partial(agree_answers, task, data)
        found = compare_answers(answered, samples.groups, agree)
        same = None if floor is None else compare_decisions(answered, floor.groups, agree)
    except ValueError as error:
        return refuse_answers(Status(FAILED, f"got {error}"))
    metrics = metric_values(task, rows)
    answers = judge_answers(
        metrics, found, engine.precision, tolerance, samples.steps, samples.noise
    )
    if floor is None or same is None:
        return answers
    return refuse_below_floor(answers, float(same.mean()), floor.least)


def agree_answers(
    task: Task, data: Dataset, answered: Arrays, wanted: Arrays
) -> NDArray[np.float64]:
    """Return `agree_samples` of two models whose outputs get the names of the task.

    Raises:
        ValueError: if outputs do not fit the task.
    """
    ends = interface_of(task, data).outputs
    return agree_samples(task, name_outputs(answered, ends), name_outputs(wanted, ends), data)
