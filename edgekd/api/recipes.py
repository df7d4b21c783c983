"""Recipes of single jobs: quantize, distil, prune or export a model, with all that is usual left out.

What comes is a recipe's content as plain values, for `edgekd.compress` or a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.learn.budget import StepBudget
from edgekd.learn.data import SOURCES
from edgekd.task import Task
from edgekd.tasks import BUILT_IN
from edgekd.tasks import DEFAULT_TASK
from edgekd.tasks import list_usual_losses
from edgekd.tasks import load_task

ONNX = ".onnx"
SOFT = 0.9
"""Weight of what a teacher says, beside that of the labels, for a task without losses of its own."""
Words = dict[str, Any]
Data = str | Mapping[str, Any]
"""A source: its name, or a mapping of that and its settings."""
Model = str | Mapping[str, Any]
"""A name of ``edgekd models``, or its name and knobs."""


def quantize_recipe(
    model: Model,
    *,
    data: Data,
    targets: Sequence[str] = ("onnxruntime",),
    weights: str | None = None,
    task: str | None = None,
    epochs: int = 0,
    score_drop: float | None = None,
) -> Words:
    """The recipe that quantizes a trained model and measures it beside itself in float.

    Args:
        model: a name of ``edgekd models``, with its knobs in a mapping; or an ONNX file, which has its weights.
        data: a source, as ``data.source`` takes it.
        targets: engines.
        weights: of the model.
        task: a name of ``edgekd tasks``; if left out one class a sample, or for data without labels how well the answers
            of the model itself are met.
        epochs: how long it learns in int8; 0 is calibration alone.
        score_drop: how far the score may fall, as ``learn.N.score_drop`` takes it.
    """
    step: Words = {"step": "quantize", "train": {"epochs": epochs} if epochs else None}
    if score_drop is not None:
        step["score_drop"] = score_drop
    return _loaded("quantize", model, data, targets, weights, task, [step])


def prune_recipe(
    model: Model,
    *,
    data: Data,
    budget: Mapping[str, float],
    targets: Sequence[str] = ("onnxruntime",),
    weights: str | None = None,
    task: str | None = None,
    epochs: int = 10,
) -> Words:
    """The recipe that takes channels out of a trained model, which then learns again from what it was.

    Args:
        model, data, targets, weights, task: as `quantize_recipe` takes them.
        budget: one of ``speedup``, ``macs``, ``parameters`` and ``score_drop``, with its value.
        epochs: how long it learns again; 0 is not at all.

    Raises:
        ValueError: unless `budget` is one limit.
    """
    StepBudget.model_validate(dict(budget)).require_one()
    step: Words = {"step": "prune", **budget}
    if epochs:
        step["recover"] = {
            **_name_losses(task or choose_task(data)),
            "train": {"epochs": epochs},
        }
    return _loaded("prune", model, data, targets, weights, task, [step])


def export_recipe(
    model: Model,
    *,
    data: Data,
    targets: Sequence[str] = ("onnxruntime",),
    weights: str | None = None,
    task: str | None = None,
) -> Words:
    """The recipe that exports, compiles and measures a trained model as it is; arguments as of `quantize_recipe`."""
    return _loaded("export", model, data, targets, weights, task, [])


def distil_recipe(
    student: Model,
    teacher: Model,
    *,
    data: Data,
    targets: Sequence[str] = ("onnxruntime",),
    teacher_weights: str | None = None,
    task: str | None = None,
    epochs: int = 30,
    quantize: bool = False,
) -> Words:
    """The recipe in which a student learns from a teacher, and from labels alone as its control.

    Args:
        student: a name of ``edgekd models``.
        teacher: the same.
        data, targets, task: as `quantize_recipe` takes them.
        teacher_weights: of the teacher; without them it is trained for `epochs` first.
        epochs: how long the student learns.
        quantize: whether it goes on to int8.
    """
    learn: list[Words] = [{"step": "distil", **_name_losses(task or choose_task(data))}]
    if quantize:
        learn.append({"step": "quantize"})
    words: Words = (
        {"weights": teacher_weights} if teacher_weights else {"train": {"epochs": epochs}}
    )
    return {
        **_head("distil", student, data, task),
        "teacher": {"model": teacher, **words},
        "student": {"model": student, "train": {"epochs": epochs}},
        "learn": learn,
        "targets": [{"runtime": name} for name in targets],
    }


def _loaded(
    verb: str,
    model: Model,
    data: Data,
    targets: Sequence[str],
    weights: str | None,
    task: str | None,
    learn: list[Words],
) -> Words:
    """The recipe of a model that is trained already: no teacher, no control."""
    is_file = isinstance(model, str) and model.endswith(ONNX) and ":" not in model
    student: Words = {"model": f"onnx:{model}" if is_file else model}
    if weights is not None:
        student["weights"] = weights
    return {
        **_head(verb, model, data, task),
        "student": student,
        "control": False,
        **({"learn": learn} if learn else {}),
        "targets": [{"runtime": name} for name in targets],
    }


def choose_task(data: Data) -> str:
    """The task of a source where none is named: of one without labels, the one that judges by a model's own answers."""
    name = data if isinstance(data, str) else str(data.get("name"))
    member = SOURCES.get(name.partition(":")[0])
    if member is None or len(member.gives) != 1:
        return DEFAULT_TASK
    return next(name for name, entry in BUILT_IN.items() if entry.from_answers)


def _head(verb: str, model: Model, data: Data, task: str | None) -> Words:
    task = task or choose_task(data)
    name = model if isinstance(model, str) else str(model.get("name"))
    plain = re.sub(r"[^a-z0-9]+", "-", name.rpartition("/")[2].removesuffix(ONNX).lower())
    said = {} if task == DEFAULT_TASK else {"task": task}
    return {"name": f"{verb}-{plain.strip('-')[:40] or 'model'}", **said, "data": {"source": data}}


def _name_losses(task: str) -> Words:
    """What a teacher's answers and what labels teach, as the task says; nothing where losses left out are usual ones."""
    if list_usual_losses(task):
        return {}
    found: Task = load_task(task)
    soft, hard = (
        [{"name": each} if isinstance(each, str) else dict(each) for each in listed]
        for listed in (found.soft_losses, found.losses)
    )
    weighted = [
        *({**each, "weight": SOFT} for each in soft),
        *({**each, "weight": round(1 - SOFT, 9)} for each in hard),
    ]
    return {"losses": weighted}
