"""Source `table`: a CSV, TSV or JSON-lines file of numbers, and the column that is to be told from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.learn.data.columns import NUMBERING
from edgekd.learn.data.columns import USUAL
from edgekd.learn.data.columns import describe_missing
from edgekd.learn.data.columns import find_splits
from edgekd.learn.data.columns import is_missing
from edgekd.learn.data.columns import number_classes
from edgekd.learn.formats.records import Records
from edgekd.learn.formats.records import is_number
from edgekd.learn.formats.records import read_records
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.learn.source import require_names
from edgekd.units import number_text

KINDS = ("auto", "class", "number")
MOST_CLASSES = 20
"""Different whole numbers that may be classes."""


def files(*, reference: str, data_dir: Path | None = None, **_: Any) -> list[Path]:
    """The file.

    Raises:
        InputError: if it is not there.
    """
    return [locate(reference, data_dir)]


def read(
    *,
    reference: str,
    target: str | None = None,
    target_is: str = "auto",
    leave_out: str = "",
    split: str | None = None,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The rows of the file `reference`: a model sees all columns of numbers but the target, which it is to tell.

    A target of classes is the field ``labels``, for the task classification; one of numbers is ``numbers``, for
    regression. A column called id, index or rownames is left out.

    Args:
        reference: the file, the names of the columns in its first line.
        target: the column to tell; None to take ``label``, ``class``, ``target``, ``y`` or the like.
        target_is: ``class``, ``number``, or ``auto``: words are classes, fractions numbers; whole numbers leave it open.
        leave_out: columns that a model does not see, commas between them.
        split: column with train, validation or test; None takes ``split`` or the like where there is one.
        on_broken: ``refuse`` stops at the first row that lacks a number, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the line and column that is no number, or what leaves it open what is to be told.
    """
    require_known(on_broken)
    if target_is not in KINDS:
        raise InputError(f"target_is: got {target_is!r}, want one of: {', '.join(KINDS)}")
    (path,) = files(reference=reference, data_dir=data_dir)
    records = read_records(path)
    target = find_target(records, target, path)
    left_out = _read_left_out(leave_out, records, path)
    column, _ = find_splits(records, split, path, str(path))
    left_out |= {name for name in records.columns if name.casefold() in NUMBERING}
    inputs = [n for n in records.columns if n not in left_out and n not in (target, column)]
    records, skipped = _require_whole(records, inputs, target, path, on_broken)
    column, splits = find_splits(records, split, path, str(path))
    if not inputs:
        raise InputError(f"{path}: got no column of numbers beside {target}, want some")
    kind = _find_kind(records, target, target_is, path)
    values = np.array([[float(row[n]) for n in inputs] for row in records.rows], np.float32)
    found: dict[str, Any] = {}
    if kind == "class":
        labels = [row[target] for row in records.rows]
        require_names(map(str, labels), path)
        classes, numbers = number_classes(labels, splits["train"], records, path, target)
        name, said = "labels", FieldWords("class", {"names": classes})
        answers = np.array(numbers, np.int64)
        about = f"classes: {', '.join(classes[:5])}{', ...' if len(classes) > 5 else ''}"
    else:
        answers = np.array([[float(row[target])] for row in records.rows], np.float32)
        name, said = "numbers", FieldWords("number", {"columns": (target,)})
        about = f"numbers from {answers.min():.4g} to {answers.max():.4g}"
    for split_name, chosen in splits.items():
        found[split_name] = {"columns": values[chosen], name: answers[chosen]}
    unseen = f"; left out: {', '.join(sorted(left_out))}" if left_out else ""
    divided = f", splits in {column}" if column else "; no column for splits"
    note = (
        f"to tell: column {target}, {about}; {number_text(len(records.rows), 'row')} of "
        f"{number_text(len(inputs), 'number')}{divided}{unseen}"
    )
    fields = {"columns": FieldWords("number", {"columns": tuple(inputs)}), name: said}
    return Source(found, fields, (note,), tuple(skipped))


def find_target(records: Records, said: str | None, path: Path) -> str:
    """The column that is to be told.

    Raises:
        InputError: if it is not there, or none or several are called so.
    """
    if said is not None:
        if said not in records.columns:
            hint = find_nearest(said, records.columns)
            raise InputError(f"{path}: target: got {said!r}, want a column", hint=hint)
        return said
    named = [name for name in records.columns if name.casefold() in USUAL["label"]]
    if len(named) != 1:
        got = f"the columns {', '.join(records.columns[:8])}"
        raise InputError(
            f"{path}: target: got {got}, want to know which is to be told",
            hint=f"write {{name: table, reference: {path}, target: {records.columns[-1]}}}, or another column",
        )
    return named[0]


def _read_left_out(said: str, records: Records, path: Path) -> set[str]:
    names = {name.strip() for name in said.split(",")} - {""}
    for name in sorted(names):
        if name not in records.columns:
            hint = find_nearest(name, records.columns)
            raise InputError(f"{path}: leave_out: got {name!r}, want columns", hint=hint)
    return names


def _require_whole(
    records: Records, inputs: list[str], target: str, path: Path, on_broken: str
) -> tuple[Records, list[str]]:
    """The rows in which every input is a number and the target is there.

    Raises:
        InputError: at the first other one, unless those are skipped; or if a column never is a number.
    """
    words = [n for n in inputs if not any(is_number(row.get(n)) for row in records.rows)]
    if words:
        raise InputError(
            f"{path}: got column {words[0]!r} without numbers, want numbers alone",
            hint=f"leave_out: '{','.join(words)}', beside the source's name; or text-csv:{path}",
        )
    skipped: list[str] = []
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, row in enumerate(records.rows):
        wrong = [n for n in inputs if not is_number(row.get(n))]
        unlabelled = is_missing(row.get(target))
        if not wrong and not unlabelled:
            rows.append(row)
            lines.append(records.lines[number])
            continue
        if wrong:
            got = repr(str(row[wrong[0]])[:20]) if wrong[0] in row else "nothing"
            message = f"{records.where(path, number)}: {wrong[0]}: got {got}, want a number"
        else:
            message = describe_missing(records, number, target, path)
        if on_broken == "refuse":
            raise InputError(message, hint=SKIP_HINT)
        skipped.append(message)
    if not rows:
        raise InputError(f"{path}: got no whole rows, want some")
    return records._replace(rows=rows, lines=lines), skipped


def _find_kind(records: Records, target: str, said: str, path: Path) -> str:
    """``class`` or ``number``.

    Raises:
        InputError: if it is left open, or numbers are wanted and a row has none.
    """
    values = [row[target] for row in records.rows]
    numeric = all(is_number(value) for value in values)
    if said == "number" and not numeric:
        wrong = next(i for i, value in enumerate(values) if not is_number(value))
        got = str(values[wrong])[:20]
        raise InputError(f"{records.where(path, wrong)}: {target}: got {got!r}, want a number")
    if said != "auto":
        return said
    if not numeric:
        return "class"
    different = set(map(float, values))
    if any(value % 1 for value in different) or len(different) > MOST_CLASSES:
        return "number"
    if len(different) == 2:
        return "class"
    raise InputError(
        f"{path}: {target}: got {len(different)} different whole numbers, which may be classes or numbers",
        hint=f"write {{name: table, reference: {path}, target: {target}, target_is: class}}, or target_is: number",
    )
