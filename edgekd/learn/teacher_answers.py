"""A teacher's answers to every view of the training split, stored: in one array, or in shards."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from torch import nn

from edgekd.errors import InputError
from edgekd.learn import answers
from edgekd.learn import arithmetic
from edgekd.learn import heap
from edgekd.learn.data.loader import Batch
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import prefetch
from edgekd.learn.knowledge import filling
from edgekd.learn.knowledge.filling import Answer
from edgekd.learn.knowledge.filling import AskTeacher
from edgekd.learn.knowledge.filling import Partners
from edgekd.learn.knowledge.filling import Questions
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.knowledge.layout import SHARD_BYTES
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.method.stored_layers import find_orders
from edgekd.learn.method.stored_layers import take_layers
from edgekd.learn.method.taps import Taps
from edgekd.learn.parallel import ranks
from edgekd.learn.parallel.in_step import InStep
from edgekd.learn.places import Places
from edgekd.learn.places import locate_rows
from edgekd.learn.places import take_places
from edgekd.learn.settings import Arithmetic
from edgekd.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray


def write_knowledge(
    teacher: nn.Module,
    samples: Samples,
    path: Path,
    resolved: Arithmetic,
    progress: Progress,
) -> None:
    """Fill `path` with the teacher's outputs, npy float32 [views, samples, ...].

    Every view that training will show is answered once; later epochs, methods and students read it. Of a teacher
    with several outputs each element has a field by number, ``0``, ``1``, of that output's shape. Several ranks take
    the batches in turn, and the first writes what all answer.

    Raises:
        InputError: if an output's size changes from batch to batch.
    """
    views, total = samples.views.count, len(samples)
    size = answers.batch_size(answers.count_values(samples.dataset, samples.rows))
    teacher.eval()
    out: np.memmap[Any, Any] | None = None
    with arithmetic.deterministic_torch(0, resolved.threads), heap.keep_freed_memory():
        for indices, view, given in _answer_all(teacher, samples, size, resolved):
            if ranks.rank():
                continue
            if out is None:
                out = _open_knowledge(path, (views, total), given)
            try:
                _store(out, view, indices, given)
            except ValueError as error:
                message = f"teacher: got outputs of several sizes, which cannot be stored: {error}"
                raise InputError(message, hint="knowledge: online") from error
            text = f"view {view + 1}/{views}"
            progress.update(view * total + int(indices[-1]) + 1, views * total, text)
    if out is not None:
        out.flush()


def _answer_all(
    teacher: nn.Module, samples: Samples, size: int, resolved: Arithmetic
) -> Iterator[tuple[NDArray[np.int64], int, tuple[NDArray[np.float32], ...]]]:
    """Yield every view of every sample in order, a batch at a time: indices, view, answers."""
    planned = [
        (np.arange(start, min(start + size, len(samples))), view)
        for view in range(samples.views.count)
        for start in range(0, len(samples), size)
    ]
    turns = [planned[at : at + ranks.count()] for at in range(0, len(planned), ranks.count())]
    own = [turn[min(ranks.rank(), len(turn) - 1)] for turn in turns]
    for turn, batch in zip(turns, _prepare_ahead(samples, own), strict=True):
        given = answers.answer_batch(
            teacher, batch.inputs, resolved.precision, resolved.channels_last
        )
        sizes = [len(indices) for indices, _ in turn]
        parts = [ranks.gather_rows(each, sizes) for each in given]
        for number, (indices, view) in enumerate(turn):
            yield indices, view, tuple(part[number] for part in parts)


def _prepare_ahead(
    samples: Samples, wanted: Sequence[tuple[NDArray[np.int64], int]]
) -> Iterator[Batch]:
    """The batches of those indices and views, prepared while the teacher answers where cores are free for it."""
    make = functools.partial(samples.batch, is_pending=arithmetic.has_accelerator())
    jobs = [functools.partial(make, *each) for each in wanted]
    return prefetch(jobs, samples.needed_workers or arithmetic.count_workers_ahead())


def fill_knowledge(
    teacher: nn.Module,
    samples: Samples,
    settings: KnowledgeSettings,
    origin: Mapping[str, Any],
    folder: Path,
    resolved: Arithmetic,
    progress: Progress,
    layers: StoredLayers | None = None,
    places: Places | None = None,
) -> dict[str, Path]:
    """Store the same answers as `write_knowledge` in shards; a killed fill goes on where it was.

    Args:
        teacher: who is asked.
        samples: the training split and its views.
        settings: how answers are stored.
        origin: what they are of.
        folder: survives a kill.
        resolved: the teacher's arithmetic.
        progress: is told how far it is.
        layers: of the teacher that are stored beside them.
        places: of a teacher whose logits are stored place by place; then without layers.

    Returns:
        The manifest and the shards by name.

    Raises:
        InputError, MachineError: as `filling.fill_store`.
    """
    size = answers.batch_size(answers.count_values(samples.dataset, samples.rows))
    teacher.eval()
    with arithmetic.deterministic_torch(0, resolved.threads), heap.keep_freed_memory():
        if layers is not None:
            size = max(1, min(size, SHARD_BYTES // (4 * layers.values)))
            layers = _order_layers(layers, teacher, samples, resolved)
        in_step = _keep_in_step(teacher, samples, resolved)
        views, total = samples.views.count, len(samples)
        if places is None:
            ask = _build_ask(teacher, samples, resolved, layers, in_step)
            questions = Questions(ask, views, total, size, layers)
        else:
            size = min(size, answers.batch_size(1, places.values))
            ask = _build_ask_places(teacher, samples, resolved, settings, places, in_step)
            questions = Questions(ask, views, total, size, lengths=places.lengths)
        wait = ranks.wait_for_all if in_step is None else in_step.wait
        partners = Partners(ranks.rank(), ranks.count(), wait)
        made = filling.fill_store(questions, settings, origin, folder, progress, partners)
        if in_step is not None:
            in_step.wait()  # the first rank asks some again at the end
        return made


def _keep_in_step(teacher: nn.Module, samples: Samples, resolved: Arithmetic) -> InStep | None:
    """What lets ranks that share out a teacher's parameters answer unequally many batches; None where they do not."""
    if ranks.count() == 1:
        return None
    from edgekd.learn.parallel.sharding import is_sharded  # what it imports takes a second

    if not is_sharded(teacher):
        return None
    inputs = samples.batch(np.arange(1), 0).inputs
    along = (teacher, inputs, resolved.precision, resolved.channels_last)
    return InStep(functools.partial(answers.run_batch, *along))


def _order_layers(
    layers: StoredLayers, teacher: nn.Module, samples: Samples, resolved: Arithmetic
) -> StoredLayers:
    inputs = samples.batch(np.arange(min(2, len(samples))), 0).inputs
    asked = (teacher, inputs, resolved.precision, resolved.channels_last)
    run = functools.partial(answers.run_batch, *asked)
    try:
        return find_orders(layers, teacher, run)
    except ValueError as error:
        raise InputError(f"teacher: {error}", hint="knowledge: online") from error


def _build_ask(
    teacher: nn.Module,
    samples: Samples,
    resolved: Arithmetic,
    layers: StoredLayers | None,
    in_step: InStep | None,
) -> AskTeacher:
    """Ask for whole answers, and for layers."""
    taps = Taps(teacher, [] if layers is None else [each.place for each in layers.tapped])

    def ask(
        view: int, batches: Sequence[NDArray[np.int64]]
    ) -> Iterator[tuple[NDArray[np.float32], ...]]:
        for batch in _prepare_ahead(samples, [(indices, view) for indices in batches]):
            if in_step is not None:
                in_step.ask()
            asked = (batch.inputs, resolved.precision, resolved.channels_last)
            with taps as values:
                given = answers.answer_batch(teacher, *asked)
            yield given if layers is None else (*given, *take_layers(layers, values))

    return ask


def _build_ask_places(
    teacher: nn.Module,
    samples: Samples,
    resolved: Arithmetic,
    settings: KnowledgeSettings,
    places: Places,
    in_step: InStep | None,
) -> AskTeacher:
    def ask(view: int, batches: Sequence[NDArray[np.int64]]) -> Iterator[Answer]:
        for indices in batches:
            if in_step is not None:
                in_step.ask()
            batch = samples.batch(indices, view)
            asked = (batch.inputs, resolved.precision, resolved.channels_last)
            (logits,) = answers.run_batch(teacher, *asked)
            targets = {places.target: batch.targets[places.target]} if places.target else {}
            yield take_places(logits, locate_rows(places.lengths[indices], targets), settings)

    return ask


def _open_knowledge(
    path: Path, shape: tuple[int, int], given: tuple[NDArray[np.float32], ...]
) -> np.memmap[Any, Any]:
    if len(given) == 1:
        whole = (*shape, *given[0].shape[1:])
        return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=whole)
    ends = [(str(number), np.float32, each.shape[1:]) for number, each in enumerate(given)]
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(ends), shape=shape)


def _store(
    out: NDArray[Any],
    view: int,
    indices: NDArray[np.int64],
    given: tuple[NDArray[np.float32], ...],
) -> None:
    if out.dtype.names is None:
        (out[view, indices],) = given
        return
    for name, each in zip(out.dtype.names, given, strict=True):
        out[name][view, indices] = each
