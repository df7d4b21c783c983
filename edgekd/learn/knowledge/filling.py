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
from edgekd.learn.knowledge.fidelity import find_cut_errors
from edgekd.learn.knowledge.fidelity import find_errors
from edgekd.learn.knowledge.fidelity import join_errors
from edgekd.learn.knowledge.importing import read_imported_manifest
from edgekd.learn.knowledge.layers import StoredLayers
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.layout import plan_layout
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.rows import CutLogits
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import MANIFEST
from edgekd.learn.knowledge_settings import KnowledgeSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.progress import Progress

Answer = CutLogits | tuple["NDArray[np.float32]", ...]
"""A teacher's outputs [B, ...]; of one asked for every place its logits [P, V], sample after sample, or what is stored
of those."""
AskTeacher = Callable[[int, "Sequence[NDArray[np.int64]]"], Iterator[Answer]]
"""The answer to each batch of sample indices [B], in their order, through a view of that number."""
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
    lengths: NDArray[np.int64] | None = None
    """[samples], places of each, where every place has a row."""

    def count_rows(self, start: int, stop: int) -> int:
        """Rows of the samples from `start` to `stop`."""
        return stop - start if self.lengths is None else int(self.lengths[start:stop].sum())


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
    brought = read_imported_manifest(folder, place, origin, questions.lengths)
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
    (given,) = questions.ask(0, [np.arange(min(questions.batch, questions.samples))])
    outputs = given if isinstance(given, tuple) and not isinstance(given, CutLogits) else (given,)
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
    sizes = questions.views, questions.samples, questions.batch
    return plan_layout(code, *sizes, questions.lengths)


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
    number: int,
    questions: Questions,
    place: StoreLayout,
    folder: Path,
    progress: Progress,
) -> Path:
    """The file of a shard; what a killed fill left of it is gone on from."""
    view, start, stop = place.locate_shard(number)
    head = _describe_lengths(questions, start, stop)
    path, found, done = _take_up(folder, number, place, questions, head)
    saved_at = time.monotonic()
    batches = [
        np.arange(at, min(at + questions.batch, stop)) for at in range(done, stop, questions.batch)
    ]
    rows = np.empty((questions.count_rows(start, stop), place.row_bytes), np.uint8)
    end = len(found)
    rows[:end] = found
    for indices, outputs in zip(batches, questions.ask(view, batches), strict=True):
        try:
            made = _encode(place.code, outputs)
            rows[end : end + len(made)] = made
        except ValueError as error:
            message = f"teacher: its answers cannot be stored: {error}"
            raise InputError(message, hint="knowledge: online") from error
        end, done = end + len(made), done + len(indices)
        text = f"view {view + 1}/{questions.views}"
        total = questions.views * questions.samples
        progress.update(view * questions.samples + done, total, text)
        if done == stop or time.monotonic() - saved_at >= SAVE_EVERY_S:
            path, saved_at = (
                _save(folder, number, head, rows[:end], path),
                time.monotonic(),
            )
    return path


def _encode(code: RowCode, outputs: Answer) -> NDArray[np.uint8]:
    return code.encode_cut(outputs) if isinstance(outputs, CutLogits) else code.encode(outputs)


def _describe_lengths(questions: Questions, start: int, stop: int) -> bytes:
    """What stands before the rows of a shard: how many places its samples have, where every place has a row."""
    if questions.lengths is None:
        return b""
    return questions.lengths[start:stop].astype(layout.LENGTH).tobytes()


def _take_up(
    folder: Path, number: int, place: StoreLayout, questions: Questions, head: bytes
) -> tuple[Path, NDArray[np.uint8], int]:
    """The file with the longest sound beginning of a shard, its rows, and the first sample that it lacks; what is broken
    goes."""
    _, start, stop = place.locate_shard(number)
    borders = (*range(start + questions.batch, stop, questions.batch), stop)
    ends = {len(head) + questions.count_rows(start, at) * place.row_bytes: at for at in borders}
    path, rows, done = folder, np.empty((0, place.row_bytes), np.uint8), start
    for each in folder.glob(f"{number:05}-*.rows"):
        border = ends.get(each.stat().st_size, start)
        sound = border > done and files.digest_file(each, follow=False) == _digest_of(each)
        if sound and (data := each.read_bytes()).startswith(head):
            each, path, done = path, each, border
            rows = np.frombuffer(data, np.uint8)[len(head) :].reshape(-1, place.row_bytes)
        if each != folder:
            files.remove(each)
    return path, rows, done


def _save(folder: Path, number: int, head: bytes, rows: NDArray[np.uint8], before: Path) -> Path:
    """Put the rows of a shard on the disk in place of what was there of it."""
    data = head + rows.tobytes()
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
    errors, code = [], reader.layout.code
    for view, piece in (divmod(int(each), len(starts)) for each in np.sort(chosen)):
        indices = np.arange(starts[piece], min(starts[piece] + questions.batch, questions.samples))
        (outputs,) = questions.ask(view, [indices])
        stored, ours = reader.read_rows(view, indices), _encode(code, outputs)
        found, usual = (_compare(code, outputs, rows) for rows in (stored, ours))
        same = np.array_equal(stored, ours)
        if not same and (are_ours or not _are_near(found, usual, outputs)):
            for path in (folder / MANIFEST, *folder.glob("*.rows")):
                files.remove(path)
            raise MachineError(
                f"teacher: got other answers to view {view} than those that are stored",
                hint="run the same command again: it is asked anew for all",
            )
        errors.append(found)
    return join_errors(errors)


def _compare(code: RowCode, outputs: Answer, rows: NDArray[np.uint8]) -> AnswerErrors:
    """How far answers that are read back are off."""
    if isinstance(outputs, CutLogits):
        return find_cut_errors(outputs, code.decode_cut(rows), code.settings.temperature)
    return find_errors(outputs, code.decode(rows), code.layers)


def _are_near(found: AnswerErrors, usual: AnswerErrors, outputs: Answer) -> bool:
    values = (outputs.values,) if isinstance(outputs, CutLogits) else outputs
    spread = max(float(each.max() - each.min()) for each in values)
    near = found.difference.max() <= 2 * usual.difference.max() + spread / 100
    within = found.layer_difference.max() <= 2 * usual.layer_difference.max() + 1 / 100
    return bool(near and within)
