"""A tar archive read once from its beginning to its end: nothing is extracted, no name becomes a path."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

from edgekd.errors import InputError
from edgekd.learn.data.shard_layout import IMAGES
from edgekd.learn.data.shard_layout import choose_label
from edgekd.learn.data.shard_layout import read_label
from edgekd.learn.data.shard_layout import split_name
from edgekd.learn.formats.image import LIMIT_BYTES
from edgekd.learn.formats.tar import require_harmless

_MOST_FILES = 100
"""Of one sample."""


class _StrictHeader(tarfile.TarInfo):
    """A header that is broken is an error; tarfile takes it for the end."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        """Read one, as tarfile does."""
        try:
            return super().frombuf(buf, encoding, errors)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:  # type: ignore[attr-defined]
            raise tarfile.ReadError(f"a broken header: {error}") from error


def read_samples(
    file: Any, where: str, label: str | None, key: str | None
) -> Iterator[tuple[bytes, str | int, str]]:
    """Yield the image of each sample, its label, and what it is called: files that have all before the first dot of their
    name in common are one.

    Args:
        file: gives bytes; packed ones are unpacked.
        where: what it is called.
        label: what files of labels are called after the dot; None takes the usual ones.
        key: of the label in a JSON file; None takes the usual one.

    Raises:
        InputError: naming the archive and what in it cannot be used.
    """
    for stem, members in _group_members(file, where):
        image = next((members[ending] for ending in IMAGES if ending in members), None)
        if image is not None:
            place = f"{where}, {stem!r}"
            ending = choose_label(members, label, place)
            yield image, read_label(members[ending], ending, key, place), place


def _group_members(file: Any, where: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    stem, members = "", dict[str, bytes]()
    for name, data in _list_members(file, where):
        base, ending = split_name(name)
        if not base:
            continue
        if base != stem and members:
            yield stem, members
            members = {}
        stem = base
        if ending in members or len(members) == _MOST_FILES:
            raise InputError(f"{where}, {name!r}: got it twice, or too many, want each file once")
        members[ending] = data
    if members:
        yield stem, members


def _list_members(file: Any, where: str) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(fileobj=file, mode="r|*", tarinfo=_StrictHeader) as archive:
            for member in archive:
                archive.members.clear()  # type: ignore[attr-defined] # else all headers stay in memory
                place = f"{where}, {member.name[:200]!r}"
                require_harmless(member, place)
                if member.size > LIMIT_BYTES:
                    raise InputError(
                        f"{place}: got {member.size} bytes, want {LIMIT_BYTES} at most"
                    )
                if member.isfile():
                    found = archive.extractfile(member)
                    yield member.name, b"" if found is None else found.read()
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise InputError(
            f"{where}: got a tar archive that is broken or cut off: {error}"
        ) from error
