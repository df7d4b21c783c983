"""Files of a word and its tags a line, an empty line between texts, as CoNLL has them; within limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.formats.records import MOST_BYTES
from edgekd.learn.formats.records import Records
from edgekd.units import bytes_text

DOCUMENT = "-DOCSTART-"
"""First word of a line that says where a document begins."""


def read_word_columns(path: Path, words: str, tags: str) -> Records:
    """The texts of a file: under `words` the first column of each, under `tags` the last.

    Raises:
        InputError: naming the line that has one column alone or is not UTF-8, or if there is no text.
    """
    with disk.open_regular(path) as file:
        data: bytes = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"{path}: got more than {bytes_text(MOST_BYTES)}, want less")
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    is_open = False
    for number, part in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        try:
            columns = part.decode().split()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path}, line {number}: got bytes that are not UTF-8, want text"
            ) from error
        if not columns or columns[0] == DOCUMENT:
            is_open = False
            continue
        if len(columns) < 2:
            got = columns[0][:40]
            raise InputError(f"{path}, line {number}: got {got!r} alone, want a word and its tag")
        if not is_open:
            rows.append({words: [], tags: []})
            lines.append(number)
            is_open = True
        rows[-1][words].append(columns[0])
        rows[-1][tags].append(columns[-1])
    if not rows:
        raise InputError(f"{path}: got no texts, want some")
    return Records((words, tags), rows, lines, "line")
