"""Targets for data without labels: what a user's ONNX file itself answers."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd import fields
from edgekd.errors import InputError
from edgekd.field import MOST_VALUES
from edgekd.learn.models.onnx import read_file
from edgekd.learn.onnx_import.probabilities import find_probabilities
from edgekd.learn.onnx_import.session import WHOLE_CALLS
from edgekd.learn.onnx_import.session import FileEnd
from edgekd.learn.onnx_import.session import OnnxSession
from edgekd.learn.onnx_import.session import describe_obstacle_to_batches
from edgekd.learn.source import AS_GIVEN
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source

if TYPE_CHECKING:
    from edgekd.field import Field
    from edgekd.field import Rows

PROBABILITY = AS_GIVEN._replace(words={"size": 1.0})
CHUNK = 64
"""Samples that are prepared at a time."""
TOGETHER = 8
"""Samples that are asked at once to see whether they share a call."""
LITTLE = 0.01
"""Of their size, or of 1 for probabilities: answers that vary less hardly vary."""
STILL = (
    "the file's answers hardly vary on these samples, so that agreement with them tells little; "
    "samples on which they do tell more"
)
MIXED = (
    "the file answers samples of one call otherwise than each alone: each is a whole call here, in float, "
    "as an array with an axis of 1 before its own"
)
PREPROCESSING = (
    "say data.mean and data.std as the file was trained: of pixels / 255, a number a channel "
    "(mean 0 and std 1 for pixels / 255 themselves, std 0.00392157 for pixels of 0 to 255)"
)


def add_answers(source: Source, path: Path, words: Mapping[str, Any], where: str) -> Source:
    """The source with what the file `path` answers to its samples; its inputs get the names that the file has.

    Args:
        source: inputs alone.
        path: an ONNX file.
        words: what the recipe says of inputs, such as ``mean``.
        where: how to call the source in a message.

    Raises:
        InputError: if the file does not take these inputs, or their preprocessing is not said.
    """
    file = read_file(path)
    shown = os.path.relpath(path)  # a recipe that was written says ../model.onnx
    session = OnnxSession(file, str(path) if shown.startswith("..") else shown)
    source = _rename(source, session.inputs, where)
    train = source.splits["train"]
    is_whole = session.takes_whole({n: getattr(rows, "ndim", 0) for n, rows in train.items()})
    obstacle = describe_obstacle_to_batches(session)
    if obstacle and not is_whole:
        raise InputError(f"{path}: {obstacle}", hint=WHOLE_CALLS)
    known = {n: _describe(source, n, train[n], words, where) for n in source.fields}
    shares_calls = not is_whole and session.fixed_batch is None
    if shares_calls and session.mixes_samples(_choose_few(known, train)):
        source = _make_whole_calls(source, known, f"{where}: {MIXED}")
        known = {n: _describe(source, n, source.splits["train"][n], {}, where) for n in known}
    splits = {
        split: {**rows, **_answer(session, known, rows)} for split, rows in source.splits.items()
    }
    names = tuple(end.name for end in session.outputs)
    probable = find_probabilities(file)
    answers_of = {name: PROBABILITY if name in probable else AS_GIVEN for name in names}
    described = {**source.fields, **answers_of}
    still = [name for name in names if _hardly_varies(described[name], splits["train"][name])]
    notes = (f"{where}: {', '.join(still)}: {STILL}",) if still else ()
    return source._replace(
        splits=splits, fields=described, answers=names, notes=(*source.notes, *notes)
    )


def _choose_few(known: Mapping[str, Field], rows: Mapping[str, Rows]) -> dict[str, np.ndarray]:
    """At most `TOGETHER` samples from all over a split, fewer of large ones, prepared."""
    one = _prepare(known, {name: rows[name][:1] for name in known})
    most = max(2, min(TOGETHER, MOST_VALUES // sum(each.size for each in one.values())))
    total = len(next(iter(rows.values())))
    chosen = np.unique(np.linspace(0, total - 1, most).astype(np.int64))
    return _prepare(known, {name: rows[name][chosen] for name in known})


def _make_whole_calls(source: Source, known: Mapping[str, Field], note: str) -> Source:
    """The source with each sample as a call of it alone takes it: arrays [N, 1, ...], prepared."""
    splits = {
        split: {name: each[:, None] for name, each in _prepare(known, rows).items()}
        for split, rows in source.splits.items()
    }
    fields_of = dict.fromkeys(known, AS_GIVEN)
    return source._replace(splits=splits, fields=fields_of, notes=(*source.notes, note))


def _prepare(known: Mapping[str, Field], rows: Mapping[str, Rows]) -> dict[str, np.ndarray]:
    """Inputs of the file by name."""
    feeds: dict[str, np.ndarray] = {}
    for name, field in known.items():
        feeds |= field.prepare(name, rows[name])
    return feeds


def _hardly_varies(words: FieldWords, rows: Rows) -> bool:
    field = fields.find_field(words.kind).describe(rows, np.arange(len(rows)), **words.words)
    facts = field.to_json()
    return float(facts["spread"]) < LITTLE * float(facts["size"])


def _rename(source: Source, ends: tuple[FileEnd, ...], where: str) -> Source:
    """The fields in the order of the file's inputs and under their names; the only one whatever it is called."""
    names = [end.name for end in ends]
    if len(names) == len(source.fields) == 1:
        (old,) = source.fields
        pairs = {names[0]: old}
    else:
        missing = [name for name in names if name not in source.fields]
        if missing or len(names) != len(source.fields):
            got = ", ".join(source.fields)
            raise InputError(f"{where}: got {got}, want the inputs {', '.join(names)}")
        pairs = {name: name for name in names}
    return source._replace(
        fields={new: source.fields[old] for new, old in pairs.items()},
        splits={
            split: {new: rows[old] for new, old in pairs.items()}
            for split, rows in source.splits.items()
        },
    )


def _describe(source: Source, name: str, rows: Rows, words: Mapping[str, Any], where: str) -> Field:
    kind, said = source.fields[name]
    found = fields.find_field(kind)
    takes = inspect.signature(found.describe).parameters
    wanted = [word for word in ("mean", "std") if word in takes]
    if any(word not in words and word not in said for word in wanted):
        raise InputError(
            f"{where}: {name}: got no preprocessing, want that of the file", hint=PREPROCESSING
        )
    taken = {word: value for word, value in words.items() if word in takes}
    try:
        return found.describe(rows, np.arange(len(rows)), **{**said, **taken})
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: {name}: {error}") from error


def _answer(
    session: OnnxSession, known: Mapping[str, Field], rows: Mapping[str, Rows]
) -> dict[str, Rows]:
    total = len(next(iter(rows.values())))
    parts: list[dict[str, np.ndarray]] = []
    for start in range(0, total, CHUNK):
        some = {name: rows[name][start : start + CHUNK] for name in known}
        parts.append(session.answer(_prepare(known, some)))
    return {
        end.name: np.concatenate([part[end.name] for part in parts]).astype(np.float32)
        for end in session.outputs
    }
