"""Where the files in a tar archive lie, from its headers alone: nothing is extracted, no name becomes a path."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from pathlib import PurePosixPath
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.source import require_names

MOST_NAME = 4096


class TarMember(NamedTuple):
    """A regular file in an archive."""

    name: str
    start: int
    """Its first byte in the archive."""
    size_bytes: int


def list_members(path: Path) -> Iterator[TarMember]:
    """The files in an uncompressed archive, in its order.

    Raises:
        InputError: naming the archive and the file: if the archive is none, is packed or cut off, or if a file is a
            link, a device or sparse, or its name leads out of the archive or cannot be shown.
    """
    with files.open_regular(path) as file:
        end = file.seek(0, 2)
        file.seek(0)
        try:
            archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined] # else all headers stay in memory
                require_harmless(member, f"{path}, {member.name[:MOST_NAME]!r}")
                if member.isfile():
                    if member.offset_data + member.size > end:
                        raise InputError(f"{path}, {member.name!r}: got an archive that is cut off")
                    yield TarMember(member.name, member.offset_data, member.size)
            file.seek(archive.offset)
            if any(file.read(tarfile.BLOCKSIZE)):  # what tarfile passes over in silence
                raise InputError(f"{path}: got a broken header at byte {archive.offset}")
        except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
            raise InputError(
                f"{path}: got no readable .tar file, want one that is not packed: {error}"
            ) from error


def require_harmless(member: tarfile.TarInfo, where: str) -> None:
    """Raises InputError if a member is a link, a device or sparse, or its name leads out of the archive."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name:
        raise InputError(f"{where}: got a name that leads out of the archive, want none")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise InputError(f"{where}: got a link, a device or a sparse file, want plain files")
    require_names([member.name], where)
