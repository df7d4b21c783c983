"""What storing a teacher's layers would hold and cost, found on untrained networks."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import BATCH
from edgekd.learn import arithmetic
from edgekd.learn.assembly.step import DistillationStep
from edgekd.learn.data.loader import Samples
from edgekd.learn.knowledge.choosing import AnswerWork
from edgekd.learn.knowledge.choosing import LayerChoice
from edgekd.learn.knowledge.choosing import choose_layers
from edgekd.learn.knowledge.layers import StoredLayer
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import RecipeKnowledge
from edgekd.learn.method.taps import Taps
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.training.batches import to_tensors


class Storing(NamedTuple):
    """The layers that a step reads of its teacher, and whether they are to be stored where nobody says."""

    layers: StoredLayers
    choice: LayerChoice


class Answering(NamedTuple):
    """One pass of a teacher over a batch."""

    shapes: tuple[tuple[int, ...], ...]
    """Of its outputs, without the batch."""
    seconds: float
    """A sample."""


def plan_storing(
    whole: DistillationStep,
    teacher: nn.Module,
    samples: Samples,
    training: Training,
    settings: RecipeKnowledge,
    folder: Path,
) -> Storing | None:
    """Plan how the layers that a step reads of its teacher are stored; None if it reads none.

    Args:
        whole: the step, with a live teacher.
        teacher: that one, untrained; it has the size and speed of the trained one.
        samples: the training split.
        training: of the student.
        settings: how rows are stored, layers in which form, and what they may take of the disk.
        folder: on that disk.

    Raises:
        InputError: if layers are to be pooled and a loss reads one whole.
    """
    layers = whole.connection.tapped
    if layers is None:
        return None
    if settings.layers == "pooled":
        _require_pooled(layers)
    elif settings.layers == "whole":
        layers = _widen_layers(layers, teacher, samples, training)
    answering = _time_answer(teacher, samples, training)
    beside = tuple(layer.shape for layer in layers.tapped)
    work = AnswerWork(
        samples=len(samples),
        stored_a_sample=samples.views.count,
        live_a_sample=training.epochs,
        row_bytes=RowCode(settings.storage, answering.shapes + beside, len(beside)).dtype.itemsize,
        values=layers.values + sum(map(math.prod, answering.shapes)),
        answer_s=answering.seconds,
    )
    choice = choose_layers(work, shutil.disk_usage(folder).free, int(settings.disk_limit_gb * 1e9))
    if any(axis.name != BATCH for axis in whole.plan.interface.axes):
        choice = choice._replace(is_stored=False, why="its inputs have no fixed size")
    return Storing(layers, choice)


def _require_pooled(layers: StoredLayers) -> None:
    """Raises InputError if a layer with places, of a map or of tokens, is read whole."""
    maps = [each for each in layers.tapped if not each.is_pooled and len(each.shape) > 1]
    if maps:
        place, shape = maps[0].place, list(maps[0].shape)
        raise InputError(
            f"knowledge.layers: got pooled, and a loss that reads {place!r}, {shape}, of the teacher whole",
            hint="layers: auto, or `knowledge: online` in that step",
        )


def _widen_layers(
    layers: StoredLayers, teacher: nn.Module, samples: Samples, training: Training
) -> StoredLayers:
    """The same layers without pooling, in the shapes in which they pass."""
    with Taps(teacher, [each.place for each in layers.tapped]) as values:
        _time_answer(teacher, samples, training)
        shapes = {place: tuple(value.shape[1:]) for place, value in values.items()}
    widened = [StoredLayer(each.place, shapes[each.place], False) for each in layers.tapped]
    return layers._replace(tapped=tuple(widened))


def _time_answer(teacher: nn.Module, samples: Samples, training: Training) -> Answering:
    """Run a teacher twice on the first batch; the first pass warms up."""
    resolved = Arithmetic(precision="fp32", channels_last=False, threads=torch.get_num_threads())
    batch = samples.batch(np.arange(training.batch_size), 0)
    inputs = to_tensors(batch, resolved, 0.0, training.epochs).inputs
    teacher = teacher.to(arithmetic.choose_device()).eval()
    took_s = 0.0
    with torch.no_grad():
        for _ in range(2):
            start = time.perf_counter()
            given = teacher(*inputs)
            outputs = given if isinstance(given, tuple) else (given,)
            shapes = tuple(tuple(each.float().cpu().shape[1:]) for each in outputs)
            took_s = time.perf_counter() - start
    return Answering(shapes, took_s / training.batch_size)
