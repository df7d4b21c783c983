"""Lines of one file or of several, plain or packed by gzip, within limits."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.data.columns import name_split
from edgekd.learn.data.spooled_texts import HINT
from edgekd.learn.data.text_line import MOST_LINE_BYTES
from edgekd.learn.formats import parquet
from edgekd.units import bytes_text

MOST_BYTES = 2**29
"""Of a whole file, unpacked."""
SUFFIXES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
"""Of files in a folder."""
_GZIP = b"\x1f\x8b"


def list_line_files(path: Path) -> list[tuple[Path, str | None]]:
    """The file, or those of a folder, each with the split that its name says; those of no known split are left out.

    Raises:
        InputError: if a folder has none.
    """
    if not path.is_dir():
        return [(path, None)]
    found = parquet.split_files(path, SUFFIXES)
    named = {name: name_split(name) for name in found}
    if set(found) == {""}:
        named = {"": None}
    else:
        found = {name: each for name, each in found.items() if named[name]}
    if not found:
        raise InputError(f"{path}: got no file for training, want {' or '.join(SUFFIXES)}")
    return [(file, named[name]) for name, each in found.items() for file in each]


def read_parts(
    parts: list[tuple[Path, str | None]],
) -> Iterator[tuple[str, str | None, bytes]]:
    """Yield of each line where it stands, the split of its file, and its bytes."""
    for path, split in parts:
        for number, data in enumerate(read_lines(path), 1):
            yield f"{path}, line {number}", split, data


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file; of one that is too long, enough to show it.

    Raises:
        InputError: if it is no regular file, too large, or packed and broken.
    """
    with disk.open_regular(path) as file:
        packed = file.read(len(_GZIP)) == _GZIP
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        total, begins = 0, True
        while True:
            try:
                part = stream.readline(MOST_LINE_BYTES + 1)
            except (OSError, EOFError, zlib.error) as error:
                raise InputError(f"{path}: cannot be read: {error}") from error
            if not part:
                return
            total += len(part)
            if total > MOST_BYTES:
                raise InputError(
                    f"{path}: got more than {bytes_text(MOST_BYTES)}, want less", hint=HINT
                )
            if begins:
                yield part
            begins = part.endswith(b"\n")
