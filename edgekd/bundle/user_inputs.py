"""What a user asks a bundle about, as its model takes it: files or text, read by the kinds of the data's fields."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple
from typing import cast

import numpy as np

from edgekd import files
from edgekd.bundle import images
from edgekd.bundle import texts
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.text_pair import KEYS
from edgekd.fields.text_pair import TextPair
from edgekd.fields.tokens import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows
    from edgekd.fields.image import Image

MOST_BYTES = 2**26
"""Of one file or text that is no image."""


class Question(NamedTuple):
    """One sample or several, as they are stored."""

    name: str
    """What the user calls it."""
    rows: Mapping[str, Rows]
    """Of every input of the data."""
    prepared: str
    """What was done to it; empty if it was taken as it is."""


def read_questions(given: Sequence[str], dataset: Dataset) -> list[Question]:
    """Read what stands on a command line.

    Args:
        given: files or text, one a sample, of data with one input; of several ``NAME=FILE_OR_TEXT`` for each.
        dataset: its inputs are what is read.

    Raises:
        InputError: if something is none of these, or an input is missing.
        MachineError: if a package is needed to read it and missing.
    """
    if len(dataset.inputs) == 1:
        ((name, field),) = dataset.inputs.items()
        return [one for value in given for one in _read(name, field, value)]
    named = dict(value.partition("=")[::2] for value in given)
    if set(named) != set(dataset.inputs) or len(named) < len(given):
        want = " ".join(f"{name}=FILE" for name in dataset.inputs)
        raise InputError(f"got {' '.join(given)[:200]}, want {want}")
    read = {name: _read(name, field, named[name]) for name, field in dataset.inputs.items()}
    counts = {len(found) for found in read.values()}
    if len(counts) > 1:
        told = ", ".join(f"{len(found)} of {name}" for name, found in read.items())
        raise InputError(f"got {told}, want as many of each")
    return [
        Question(
            ", ".join(one.name for one in together),
            {name: rows for one in together for name, rows in one.rows.items()},
            "; ".join(filter(None, (one.prepared for one in together))),
        )
        for together in zip(*read.values(), strict=True)
    ]


def read_sound_questions(
    given: Sequence[str], dataset: Dataset
) -> tuple[list[Question], list[tuple[str, InputError]]]:
    """Read as `read_questions` does, and of data with one input leave out what cannot be read.

    Returns:
        The samples, one or more; what was left out, and why.

    Raises:
        InputError: if nothing is left, or of data with several inputs anything cannot be read.
        MachineError: if a package is needed to read it and missing.
    """
    if len(dataset.inputs) != 1:
        return read_questions(given, dataset), []
    questions: list[Question] = []
    broken: list[tuple[str, InputError]] = []
    for value in given:
        try:
            questions += read_questions([value], dataset)
        except InputError as error:
            broken.append((value, error))
    if not questions:
        raise broken[0][1]
    return questions, broken


def read_rows(rows: NDArray[np.generic], dataset: Dataset) -> list[Question]:
    """Take an array as samples of data with one input, in the form in which they are stored.

    Args:
        rows: [N, ...].
        dataset: its input is what they are held to.

    Raises:
        InputError: if the data have several inputs, or these are of another form.
    """
    if len(dataset.inputs) != 1:
        raise InputError(f"got one array, want a file for each of {', '.join(dataset.inputs)}")
    ((name, field),) = dataset.inputs.items()
    field.check(rows, name)
    return [
        Question(f"[{number}]", {name: rows[number : number + 1]}, "")
        for number in range(len(rows))
    ]


def join_rows(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts, which are alike."""
    first = parts[0]
    if isinstance(first, RaggedRows):
        each = [row for part in parts for row in cast("RaggedRows", part)]
        return from_rows(each, first.values)
    return np.concatenate([np.asarray(part) for part in parts])


def _read_images(name: str, field: Field, value: str) -> list[Question]:
    if Path(value).is_dir():
        raise InputError(f"{value}: got a folder, want files", hint=f"{Path(value) / '*'}")
    found = images.read_images(Path(value), cast("Image", field))
    return [Question(one.name, {name: one.pixels[None]}, one.prepared) for one in found]


READERS = {"image": _read_images}
"""By kind of field; others read bytes themselves (`Field.read`)."""


def _read(name: str, field: Field, value: str) -> list[Question]:
    if field.kind in READERS:
        return READERS[field.kind](name, field, value)
    if isinstance(field, Tokens) and field.encoding and texts.is_table(value):
        listed = texts.read_table(Path(value), KEYS if isinstance(field, TextPair) else ())
        return [
            question
            for number, data in enumerate(listed)
            for question in _decode(
                name, field, f"{value}[{number}]", data, f"{name}: {value}[{number}]"
            )
        ]
    try:
        data = _take_array(_bytes(value), name)
    except InputError as error:
        raise InputError(f"{name}: {value}: {error}", hint=error.hint) from error
    return _decode(name, field, value, data, f"{name}: {value}" if _is_file(value) else name)


def _decode(name: str, field: Field, value: str, data: bytes, where: str) -> list[Question]:
    """The samples of `data`, called after `value`; errors begin with `where`."""
    try:
        rows = field.read(data)
        field.check(rows, name)
        unread, cut = field.list_unread(data), field.describe_cut(data)
    except InputError as error:
        raise InputError(f"{where}: {error}", hint=error.hint) from error
    left = f"without {', '.join(unread)[:100]}, of which the model takes nothing" if unread else ""
    prepared = "; ".join(filter(None, (left, cut)))
    several = len(rows) > 1
    return [
        Question(
            f"{value}[{number}]" if several else value,
            {name: rows[np.arange(number, number + 1)]},
            prepared if not number else "",
        )
        for number in range(len(rows))
    ]


def _take_array(data: bytes, name: str) -> bytes:
    """Of a .npz file's bytes those of its array `name`, or of its only one, as a .npy file; others as they are.

    Raises:
        InputError: if it has no such array, or cannot be read.
    """
    if not data.startswith(b"PK\x03\x04"):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            wanted = names[0] if len(names) == 1 else f"{name}.npy"
            with archive.open(wanted) as member:
                found = member.read(MOST_BYTES + 1)
    except KeyError as error:
        listed = ", ".join(each.removesuffix(".npy") for each in names)[:200]
        raise InputError(f"got a .npz file of {listed}, want the array {name}") from error
    except Exception as error:  # the parser of zip raises anything
        raise InputError(f"got no readable .npz file: {error}") from error
    if len(found) > MOST_BYTES:
        raise InputError(f"got more than {MOST_BYTES} bytes, want a smaller array")
    return found


def _is_file(value: str) -> bool:
    try:
        return Path(value).is_file()
    except (OSError, ValueError):  # too long for a name, or none
        return False


def _bytes(value: str) -> bytes:
    """The content of a file of that name, or else the text itself."""
    if not _is_file(value):
        return os.fsencode(value)  # as it was typed, UTF-8 or not
    with files.open_regular(Path(value)) as file:
        data: bytes = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"got more than {MOST_BYTES} bytes, want a smaller file")
    return data
