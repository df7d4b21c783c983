"""Which column of a list holds what: told by its name, or else by what is in it; doubt is refused with the word that
settles it."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.fields.label import UNLABELLED
from edgekd.learn.data.folder_layout import SPLIT_NAMES
from edgekd.learn.formats.records import Records
from edgekd.learn.source import SKIP_HINT

USUAL: dict[str, tuple[str, ...]] = {
    "file": (
        *("file", "filename", "file_name", "path", "filepath", "file_path", "image", "images"),
        *("image_path", "image_file", "img", "img_path", "photo", "picture"),
    ),
    "label": (
        *("label", "labels", "class", "class_name", "category", "target", "y", "species"),
        *("sentiment", "section", "topic", "intent", "tag", "diagnosis", "outcome"),
    ),
    "text": (
        *("text", "sentence", "content", "body", "message", "review", "comment", "description"),
        *("title", "question", "query", "utterance", "document", "tweet", "headline"),
    ),
    "split": ("split", "set", "subset", "partition", "fold"),
}
"""What people call a column, by what is in it; small letters."""
NUMBERING = ("", "id", "index", "idx", "rownames", "row", "uid", "uuid", "unnamed: 0")
"""What people call a column that numbers the rows."""
MISSING = ("", "nan", "NaN", "NA")
"""What programs write where there is no label."""
CHOICES = ("refuse", "keep")
"""What may become of samples without a label."""
KEEP_HINT = (
    "unlabelled: keep, beside the source's name, lets a student learn of them what its teacher says"
)
MOST_CLASSES = 100_000
"""Of a list."""
MOST_LABEL = 200
"""Characters of a class's name."""
LOOKED_AT = 200
"""Rows by which a column is told."""


def find_column(
    records: Records,
    role: str,
    said: str | None,
    where: str,
    fits: Callable[[Any], bool] = lambda value: True,
    *,
    by_content: bool = True,
    without: Iterable[str] = (),
) -> str:
    """The column that holds what `role` names.

    Args:
        records: the list.
        role: of `USUAL`; also the knob that says which column it is.
        said: what the recipe says; None to tell.
        where: how to call the list in a message.
        fits: whether a cell can be it.
        by_content: whether a column of another name is taken where it alone fits.
        without: columns that are something else.

    Raises:
        InputError: if there is none, or several could be it.
    """
    columns = [name for name in records.columns if name not in set(without)]
    if said is not None:
        if said not in records.columns:
            raise InputError(
                f"{where}: {role}: got {said!r}, want a column",
                hint=find_nearest(said, records.columns),
            )
        return said
    named = [name for name in columns if name.casefold() in USUAL[role]]
    found = [name for name in named if column_fits(records, name, fits, whole=False)]
    if not found and by_content:
        found = [
            name
            for name in columns
            if name.casefold() not in NUMBERING and column_fits(records, name, fits)
        ]
    if not found and (unfit := _describe_unfit(records, role, named, fits, where)):
        raise InputError(unfit, hint=f"{role}: COLUMN, beside the source's name, names another")
    if len(found) != 1:
        got = f"; {', '.join(found)}, which could all be it" if found else "; none that could be it"
        if found == columns[:8]:
            got = ", which could all be it"
        if not columns:
            raise InputError(f"{where}: {role}: got no column of plain values, want one")
        raise InputError(
            f"{where}: {role}: got the columns {', '.join(columns[:8])}{got}",
            hint=f"{role}: COLUMN, beside the source's name, says which",
        )
    return found[0]


def _describe_unfit(
    records: Records, role: str, named: list[str], fits: Callable[[Any], bool], where: str
) -> str:
    """What is wrong with the only column that is called like `role`; empty where there are none or several."""
    if len(named) != 1:
        return ""
    place = f"{where}: {named[0]}"
    for number, row in enumerate(records.rows[:LOOKED_AT]):
        cell = row.get(named[0])
        if not is_missing(cell) and not fits(cell):
            return f"{records.where(Path(where), number)}: {named[0]}: got {str(cell)[:40]!r}, want a {role}"
    return f"{place}: got nothing in this column, want some {role}s"


def column_fits(
    records: Records, name: str, fits: Callable[[Any], bool], *, whole: bool = True
) -> bool:
    """Return whether the first rows all have a cell in a column, and it fits; if not `whole`, whether some have, and
    those fit."""
    cells = [row.get(name) for row in records.rows[:LOOKED_AT]]
    there = [cell for cell in cells if not is_missing(cell)]
    return bool(there) and (len(there) == len(cells) or not whole) and all(map(fits, there))


def find_splits(
    records: Records, said: str | None, path: Path, where: str
) -> tuple[str | None, dict[str, list[int]]]:
    """The column of splits, None if there is none, and the numbers of the rows of each split, training first.

    Raises:
        InputError: if a row's is no name of a split, or none is of training.
    """
    there = {name.casefold(): name for name in records.columns}
    usual = [there[name] for name in USUAL["split"] if name in there]
    column = said or next((name for name in usual if _names_splits(records, name)), None)
    if column is None:
        return None, {"train": list(range(len(records.rows)))}
    if column not in records.columns:
        raise InputError(f"{where}: split: got {column!r}, want a column")
    found: dict[str, list[int]] = {name: [] for name in SPLIT_NAMES}
    for number, row in enumerate(records.rows):
        word = row.get(column)
        split = name_split(word)
        if split is None:
            known = ", ".join(SPLIT_NAMES)
            raise InputError(
                f"{records.where(path, number)}: {column}: got {str(word)[:20]!r}, want {known}"
            )
        found[split].append(number)
    if not found["train"]:
        raise InputError(f"{path}: got no row whose {column} is train, want some")
    return column, {name: numbers for name, numbers in found.items() if numbers}


def name_split(word: Any) -> str | None:
    """The split that a word names, in any case of letters; None if it names none."""
    form = str(word).strip().casefold()
    return next((split for split, names in SPLIT_NAMES.items() if form in names), None)


def _names_splits(records: Records, column: str) -> bool:
    return column_fits(records, column, lambda cell: name_split(cell) is not None)


def is_label(value: Any) -> bool:
    """Return whether a cell can name a class."""
    return type(value) in (str, int) and 0 < len(str(value)) <= MOST_LABEL


def is_missing(cell: Any) -> bool:
    """Return whether a cell has no label."""
    return cell is None or (isinstance(cell, str) and cell.strip() in MISSING)


def describe_missing(records: Records, number: int, column: str, path: Path) -> str:
    """``list.csv, line 7: label: got 'nan', which is no label, want one``."""
    cell = records.rows[number].get(column)
    got = "nothing" if not cell else f"{cell!r}, which says that there is none"
    return f"{records.where(path, number)}: {column}: got {got}, want a label"


def require_unlabelled(word: str) -> None:
    """Refuse another word than those of `CHOICES`.

    Raises:
        InputError: if it is none of them.
    """
    if word not in CHOICES:
        raise InputError(f"unlabelled: got {word!r}, want one of: {', '.join(CHOICES)}")


def drop_unlabelled(
    records: Records, column: str, path: Path, on_broken: str, unlabelled: str = "refuse"
) -> tuple[Records, list[str]]:
    """The rows that have a label, and those without one if they are kept; and those left out, each with the reason.

    Raises:
        InputError: at the first row without one, unless `unlabelled` is ``keep`` or `on_broken` ``skip``; or if none has one.
    """
    absent = [i for i, row in enumerate(records.rows) if is_missing(row.get(column))]
    skipped = [describe_missing(records, number, column, path) for number in absent]
    if len(absent) == len(records.rows):
        raise InputError(f"{path}: got no row with a {column}, want some")
    if unlabelled == "keep":
        return records, []
    if skipped and on_broken == "refuse":
        raise InputError(skipped[0], hint=f"{SKIP_HINT}; {KEEP_HINT}")
    left = sorted(set(range(len(records.rows))) - set(absent))
    rows = [records.rows[number] for number in left]
    return records._replace(rows=rows, lines=[records.lines[number] for number in left]), skipped


def describe_unlabelled(labels: Iterable[int]) -> str:
    """``, 300 of them without a label``; empty where all have one."""
    count = sum(number == UNLABELLED for number in labels)
    return f", {count} of them without a label" if count else ""


def number_classes(
    labels: list[Any], trained: Iterable[int], records: Records, path: Path, column: str
) -> tuple[tuple[str, ...], list[int]]:
    """Names of the classes that are trained, whole numbers by size and texts by letters; and each label's number,
    `UNLABELLED` where there is none.

    Args:
        labels: of the rows, in their order.
        trained: numbers of the rows of the training split.
        records: the list, for where a row stands.
        path: of the list.
        column: of the labels.

    Raises:
        InputError: for a label that training lacks, and where there is none outside of training.
    """
    texts = [None if is_missing(label) else str(label) for label in labels]
    trained = set(trained)
    names = {text for number in trained if (text := texts[number]) is not None}
    whole = all(re.fullmatch(r"-?[0-9]+", name) for name in names)
    if len(names) > MOST_CLASSES:
        got = f"{len(names):,} classes"
        raise InputError(f"{path}: {column}: got {got}, want at most {MOST_CLASSES:,}")
    ordered = tuple(sorted(names, key=int) if whole else sorted(names))
    number_of: dict[str | None, int] = {name: i for i, name in enumerate(ordered)}
    for at, text in enumerate(texts):
        if text is None and at not in trained:
            raise InputError(describe_missing(records, at, column, path))
        if text is not None and text not in number_of:
            raise InputError(
                f"{records.where(path, at)}: {column}: got {text[:40]!r}, want a class that is in training"
            )
    number_of[None] = UNLABELLED
    return ordered, [number_of[text] for text in texts]
