"""A bundle as one file: a zip without compression in which no byte is free.

Names, order, times and modes are fixed, so the same bundle gives the same bytes everywhere, and what
is read must be those very bytes: a reader that shrugs at a changed date, an extra entry or a second
central directory would let something through that no digest covers. The layout is that of the zip
format (PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16), so any unzip reads it.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from typing import NamedTuple

from edgekd import bundle
from edgekd import files
from edgekd.bundle import first_format
from edgekd.bundle import manifest as manifests
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.errors import rename_in_errors

ORDER = (
    manifests.MANIFEST,
    *sorted({*manifests.FILES, *manifests.MORE_FILES, *manifests.OPTIONAL, *first_format.FILES}),
    manifests.SIGNATURE,
)
"""Of the files of any format."""
BUNDLE, RESULT = "bundle", "result.json"
"""What a run folder has: its bundle, if a candidate was chosen, and its result."""
LARGEST_BYTES = 2**32 - 1
"""More would need the zip64 form."""
CHUNK_BYTES = 2**20

LOCAL = struct.Struct("<4s5H3I2H")
CENTRAL = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
LOCAL_MARK, CENTRAL_MARK, END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
MADE_BY = 3 << 8 | 20
"""Unix, so that the mode below is read as one."""
NEEDS = 10
DATE = 1 << 5 | 1
"""1 January 1980, the first day a zip knows."""
MODE = 0o100644 << 16
"""A regular file, its owner's to write, everybody's to read."""


class ArchiveEntry(NamedTuple):
    """One file in the archive."""

    name: str
    size_bytes: int
    crc: int
    start: int
    """Byte at which its local header stands."""


def pack(folder: Path, path: Path, *, signature: bytes | None = None) -> None:
    """Pack the bundle in `folder` as `path`, durably; the same bundle gives the same bytes.

    Args:
        folder: the bundle.
        path: the archive; what is there is replaced.
        signature: becomes its signature.json; None keeps the one it has, if any.

    Raises:
        InputError: if `folder` is no bundle, or is larger than a plain zip can be.
        BudgetMissed: if one of its files has changed.
        MachineError: if the disk refuses.
    """
    bundle.load_bundle(folder)
    given = {} if signature is None else {manifests.SIGNATURE: signature}
    names = [name for name in ORDER if name in given or (folder / name).exists()]
    sizes = [len(given[n]) if n in given else (folder / n).stat().st_size for n in names]
    blank = [ArchiveEntry(name, 0, 0, 0) for name in names]
    size_bytes = sum(sizes) + len(_tail(blank, 0)) + sum(len(_local(entry)) for entry in blank)
    if size_bytes > LARGEST_BYTES:
        raise InputError(f"{folder}: got {size_bytes} bytes, want {LARGEST_BYTES} at most")

    def pack(temporary: Path) -> None:
        with temporary.open("wb") as goal:
            entries = [_put(name, folder, given, goal) for name in names]
            goal.write(_tail(entries, goal.tell()))

    files.write_through(files.regular_output(path), pack, size_bytes=size_bytes)


def _put(name: str, folder: Path, given: Mapping[str, bytes], goal: IO[bytes]) -> ArchiveEntry:
    known = given.get(name)
    with files.open_regular(folder / name) if known is None else io.BytesIO(known) as source:
        size_bytes, crc = _measured(source)
        entry = ArchiveEntry(name, size_bytes, crc, goal.tell())
        source.seek(0)
        goal.write(_local(entry))
        shutil.copyfileobj(source, goal, CHUNK_BYTES)
    return entry


def _measured(source: IO[bytes]) -> tuple[int, int]:
    size_bytes = crc = 0
    while part := source.read(CHUNK_BYTES):
        size_bytes, crc = size_bytes + len(part), zlib.crc32(part, crc)
    return size_bytes, crc


def _local(entry: ArchiveEntry) -> bytes:
    name = entry.name.encode()
    sizes = entry.size_bytes, entry.size_bytes
    return LOCAL.pack(LOCAL_MARK, NEEDS, 0, 0, 0, DATE, entry.crc, *sizes, len(name), 0) + name


def _tail(entries: Sequence[ArchiveEntry], start: int) -> bytes:
    """The central directory and its end record, all that stands behind the last file."""
    central = b"".join(_central(entry) for entry in entries)
    count = len(entries)
    return central + END.pack(END_MARK, 0, 0, count, count, len(central), start, 0)


def _central(entry: ArchiveEntry) -> bytes:
    name = entry.name.encode()
    about = NEEDS, 0, 0, 0, DATE, entry.crc, entry.size_bytes, entry.size_bytes, len(name)
    return CENTRAL.pack(CENTRAL_MARK, MADE_BY, *about, 0, 0, 0, 0, MODE, entry.start) + name


@contextlib.contextmanager
def open_bundle(path: Path) -> Iterator[Path]:
    """Open a bundle as a folder: `path` itself, the one in the run folder `path`, or a private one with the content of
    the archive `path`.

    What comes out is small enough, plainly named and of the form `pack` gives; that its files are
    the right ones is for `bundle.load_bundle` to say.

    Raises:
        InputError: if `path` is neither a folder nor an archive of a bundle, or a run that chose nothing.
        BudgetMissed: if it is one, but not as it was written.
        MachineError: if there is no room to unpack it.
    """
    if path.is_dir():
        yield find_folder(path)
        return
    with files.open_regular(path) as source:
        size_bytes = os.fstat(source.fileno()).st_size
        if size_bytes > LARGEST_BYTES or source.read(4) != LOCAL_MARK:
            raise InputError(f"{path}: got something else, want a bundle: a folder or an archive")
        source.seek(0)
        with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
            try:
                unpack(source, size_bytes, Path(scratch), str(path))
            except OSError as error:
                raise MachineError(f"{scratch}: cannot be written: {error.strerror}") from error
            with rename_in_errors(scratch, path):
                yield Path(scratch)


def find_folder(path: Path) -> Path:
    """Return the bundle of a run folder, and any other folder as it is.

    Raises:
        InputError: if the run chose nothing, or has not ended.
    """
    if (path / manifests.MANIFEST).exists():
        return path
    if (path / BUNDLE).is_dir():
        return path / BUNDLE
    from edgekd.run_folder import UNFINISHED

    if (path / UNFINISHED).is_file():
        raise InputError(
            f"{path}: got a run that has not ended, want a finished one",
            hint="edgekd compress RECIPE goes on with it",
        )
    if (path / RESULT).is_file():
        raise InputError(f"{path}: got a run that chose nothing, want one with a bundle")
    return path


def unpack(source: IO[bytes], size_bytes: int, folder: Path, where: str) -> None:
    """Lay the files of an archive of `size_bytes` into the empty `folder`.

    Raises:
        InputError: if it holds anything but the files of a bundle.
        BudgetMissed: if one byte of it is not as `pack` puts it.
    """
    entries: list[ArchiveEntry] = []
    waiting = list(ORDER)
    while waiting:
        start = source.tell()
        head = source.read(LOCAL.size)
        if head[:4] != LOCAL_MARK:
            break
        entry = _announced(head, source, start, where)
        if entry.name not in waiting:
            raise InputError(f"{where}: got {entry.name!r} twice or in the wrong place")
        del waiting[: waiting.index(entry.name) + 1]
        if entry.size_bytes > min(size_bytes - source.tell(), manifests.LARGEST_BYTES):
            raise BudgetMissed(f"{where}: {entry.name}: is cut short")
        entries.append(_taken(entry, source, folder))
        if _local(entries[-1]) != head + entry.name.encode():
            raise BudgetMissed(f"{where}: {entry.name}: has changed since it was written")
    names = {entry.name for entry in entries}
    wanted = (
        first_format.FILES
        if ({*first_format.FILES} - {*manifests.FILES}) & names
        else manifests.FILES
    )
    missing = {manifests.MANIFEST, *wanted} - names
    if missing:
        raise BudgetMissed(f"{where}: {min(missing)}: is missing")
    _want_end(entries, source, where)


def _announced(head: bytes, source: IO[bytes], start: int, where: str) -> ArchiveEntry:
    """Return what a local header claims; nothing of it is believed yet."""
    if len(head) < LOCAL.size:
        raise BudgetMissed(f"{where}: is cut short")
    *_, crc, size_bytes, _, name_bytes, _ = LOCAL.unpack(head)
    name = source.read(min(name_bytes, 100)).decode(errors="replace")
    if name not in ORDER:
        raise InputError(f"{where}: got {name!r}, which is no part of a bundle")
    return ArchiveEntry(name, size_bytes, crc, start)


def _taken(entry: ArchiveEntry, source: IO[bytes], folder: Path) -> ArchiveEntry:
    """Copy one file out; the entry with the checksum of what was read."""
    left, crc = entry.size_bytes, 0
    with (folder / entry.name).open("xb") as goal:
        while left and (part := source.read(min(left, CHUNK_BYTES))):
            goal.write(part)
            left, crc = left - len(part), zlib.crc32(part, crc)
    return entry._replace(crc=crc)


def _want_end(entries: Sequence[ArchiveEntry], source: IO[bytes], where: str) -> None:
    start = entries[-1].start + len(_local(entries[-1])) + entries[-1].size_bytes
    source.seek(start)
    want = _tail(entries, start)
    if source.read(len(want) + 1) != want:
        raise BudgetMissed(f"{where}: its list of files has changed since it was written")
