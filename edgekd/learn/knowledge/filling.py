"""A store of answers is filled shard by shard; a killed fill goes on where it was and ends in the same bytes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd import files
from edgekd import units
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.fidelity import AnswerErrors
from edgekd.learn.knowledge.fidelity import find_errors
from edgekd.learn.knowledge.fidelity import join_errors
from edgekd.learn.knowledge.importing import read_imported_manifest
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.layout import plan_layout
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import MANIFEST
from edgekd.learn.knowledge_settings import KnowledgeSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.progress import Progress

AskTeacher = Callable[
    [int, "Sequence[NDArray[np.int64]]"], "Iterator[tuple[NDArray[np.float32], ...]]"
]
"""A teacher's outputs [B, ...] to each batch of sample indices [B], in their order, through a view of that number."""
SAVE_EVERY_S = 60.0
"""How much work a kill may cost."""
VERIFIED_BATCHES = 4
"""How many batches at most are asked again before a store is used."""


class Questions(NamedTuple):
    """What a teacher is asked: all views of all samples, a batch at a time."""

    ask: AskTeacher
    views: int
    samples: int
    batch: int
    """Samples that are asked about at once; a batch is of one view."""
    layers: StoredLayers | None = None
    """What is given after the outputs, each in the order in which it is stored; None is nothing."""


class Partners(NamedTuple):
    """The processes that fill one store together; all see its folder."""

    rank: int
    """Of this one, from 0; the first finishes what all have filled."""
    size: int
    """How many there are."""
    wait: Callable[[], object]
    """Returns when all have called it."""


ALONE = Partners(0, 1, lambda: None)


def fill_store(
    questions: Questions,
    settings: KnowledgeSettings,
    origin: Mapping[str, Any],
    folder: Path,
    progress: Progress,
    partners: Partners = ALONE,
) -> dict[str, Path]:
    """Ask for every view of every sample, and store the answers.

    Args:
        questions: whom, and what.
        settings: how answers are stored.
        origin: what they are of.
        folder: where a killed fill left its shards; they are asked again in part before they are believed.
        progress: is told how far it is.
        partners: each fills every so-manieth shard; a shard that was begun by another is gone on from.

    Returns:
        The manifest and the shards by their names; they lie in `folder`. Nothing on ranks beside the first.

    Raises:
        InputError: if answers change their size, or `settings` cannot hold them.
        MachineError: if the disk is full; what is there already stays.
    """
    if partners.rank == 0:
        files.sweep_temporaries(folder)
    place = _plan(questions, settings)
    brought = read_imported_manifest(folder, place, origin)
    if brought is not None:
        place = brought.layout
    _require_room(folder, place)
    partners.wait()  # all have read what is there before any changes it
    if partners.size > 1:
        for number in range(partners.rank, place.shards, partners.size):
            _fill_shard(number, questions, place, folder, progress)
        partners.wait()
    if partners.rank:
        return {}
    shards = [
        _fill_shard(number, questions, place, folder, progress) for number in range(place.shards)
    ]
    reader = KnowledgeReader(place, shards)
    error = _verify(questions, reader, folder, are_ours=brought is None)
    digests = tuple(_digest_of(path) for path in shards)
    made = {layout.shard_name(number): path for number, path in enumerate(shards)}
    made[MANIFEST] = folder / MANIFEST
    manifest = KnowledgeManifest(place, origin, error, digests, questions.layers)
    files.write_bytes(made[MANIFEST], files.canonical_json(manifest.describe()))
    return made


def _plan(questions: Questions, settings: KnowledgeSettings) -> StoreLayout:
    """The layout of what the teacher gives, by its first answers."""
    (outputs,) = questions.ask(0, [np.arange(min(questions.batch, questions.samples))])
    shapes = tuple(tuple(each.shape[1:]) for each in outputs)
    beside = 0 if questions.layers is None else len(questions.layers.tapped)
    answers = shapes[: len(shapes) - beside]
    if settings.top_k is not None and not layout.is_one_class(answers):
        forms = ", ".join(str(list(shape)) for shape in answers)
        raise InputError(
            f"knowledge.top_k: got a teacher that gives {forms} a sample, want logits of classes",
            hint="leave top_k out",
        )
    code = RowCode(settings, shapes, beside)
    return plan_layout(code, questions.views, questions.samples, questions.batch)


def _require_room(folder: Path, place: StoreLayout) -> None:
    """Raises MachineError unless the disk holds what is still missing."""
    there = sum(path.stat().st_size for path in folder.glob("*.rows"))
    need_bytes = place.size_bytes - there
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < need_bytes:
        free, need = (units.bytes_text(each) for each in (free_bytes, need_bytes))
        raise MachineError(
            f"{folder}: got {free} free, want {need} for the teacher's answers",
            hint="free some space, or store less of an answer: knowledge.encoding, knowledge.top_k, views.count",
        )


def _fill_shard(
    number: int, questions: Questions, place: StoreLayout, folder: Path, progress: Progress
) -> Path:
    """The file of a shard; what a killed fill left of it is gone on from."""
    view, start, stop = place.locate_shard(number)
    path, rows = _take_up(folder, number, place, questions.batch, stop - start)
    done, saved_at = len(rows), time.monotonic()
    batches = [
        np.arange(at, min(at + questions.batch, stop))
        for at in range(start + done, stop, questions.batch)
    ]
    rows = np.concatenate([rows, np.empty((stop - start - done, place.row_bytes), np.uint8)])
    for indices, outputs in zip(batches, questions.ask(view, batches), strict=True):
        try:
            rows[done : done + len(indices)] = place.code.encode(outputs)
        except ValueError as error:
            message = f"teacher: its answers cannot be stored: {error}"
            raise InputError(message, hint="knowledge: online") from error
        done += len(indices)
        text = f"view {view + 1}/{questions.views}"
        total = questions.views * questions.samples
        progress.update(view * questions.samples + start + done, total, text)
        if done == stop - start or time.monotonic() - saved_at >= SAVE_EVERY_S:
            path, saved_at = _save(folder, number, rows[:done], path), time.monotonic()
    return path


def _take_up(
    folder: Path, number: int, place: StoreLayout, batch: int, wanted: int
) -> tuple[Path, NDArray[np.uint8]]:
    """The longest sound beginning of a shard and its file; what is broken goes."""
    path, rows = folder, np.empty((0, place.row_bytes), np.uint8)
    for each in folder.glob(f"{number:05}-*.rows"):
        count, odd = divmod(each.stat().st_size, place.row_bytes)
        fits = not odd and (count == wanted or (count < wanted and count % batch == 0))
        sound = fits and files.digest_file(each, follow=False) == _digest_of(each)
        if sound and count > len(rows):
            each, path = path, each
            rows = np.fromfile(path, np.uint8).reshape(count, -1)
        if each != folder:
            files.remove(each)
    return path, rows


def _save(folder: Path, number: int, rows: NDArray[np.uint8], before: Path) -> Path:
    """Put the rows of a shard on the disk in place of what was there of it."""
    data = rows.tobytes()
    path = folder / f"{number:05}-{files.digest_bytes(data)}.rows"
    files.write_bytes(path, data)
    if before not in (folder, path):
        files.remove(before)
    return path


def _digest_of(path: Path) -> str:
    """The digest that a shard in the making bears in its name."""
    return path.stem.partition("-")[2]


def _verify(
    questions: Questions, reader: KnowledgeReader, folder: Path, *, are_ours: bool
) -> dict[str, float]:
    """Ask for some batches again and compare; gives how far what is read back is off.

    Answers that were made here have to be the same to the bit. Those of another machine, whose arithmetic may round
    otherwise, may be twice as far off the teacher's as ours would be, and a hundredth of their spread.

    Raises:
        MachineError: if an answer is not what is stored; all of them are then asked anew by the next fill.
    """
    starts = range(0, questions.samples, questions.batch)
    total = questions.views * len(starts)
    chosen = np.random.Generator(np.random.PCG64(total)).choice(
        total, max(1, min(VERIFIED_BATCHES, total // 16)), replace=False
    )
    errors, layers = [], reader.layout.code.layers
    for view, piece in (divmod(int(each), len(starts)) for each in np.sort(chosen)):
        indices = np.arange(starts[piece], min(starts[piece] + questions.batch, questions.samples))
        (outputs,) = questions.ask(view, [indices])
        stored = reader.read_rows(view, indices)
        found = find_errors(outputs, reader.layout.code.decode(stored), layers)
        ours = reader.layout.code.encode(outputs)
        same = np.array_equal(stored, ours)
        usual = find_errors(outputs, reader.layout.code.decode(ours), layers)
        if not same and (are_ours or not _are_near(found, usual, outputs)):
            for path in (folder / MANIFEST, *folder.glob("*.rows")):
                files.remove(path)
            raise MachineError(
                f"teacher: got other answers to view {view} than those that are stored",
                hint="run the same command again: it is asked anew for all",
            )
        errors.append(found)
    return join_errors(errors)


def _are_near(
    found: AnswerErrors, usual: AnswerErrors, outputs: Sequence[NDArray[np.float32]]
) -> bool:
    spread = max(float(each.max() - each.min()) for each in outputs)
    near = found.difference.max() <= 2 * usual.difference.max() + spread / 100
    within = found.layer_difference.max() <= 2 * usual.layer_difference.max() + 1 / 100
    return bool(near and within)
