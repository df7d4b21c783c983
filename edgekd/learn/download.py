"""Public data sets that may be downloaded: verified, into the user's cache, only when allowed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.errors import MachineError
from edgekd.learn.source import need_package


class RemoteFile(NamedTuple):
    """A file on the network, and what it must be."""

    url: str
    known_hash: str
    """``sha256:...`` or ``md5:...``."""


def cache_folder(name: str) -> Path:
    """Return where downloads of the data set `name` lie; nothing is made."""
    import platformdirs

    return platformdirs.user_cache_path("edgekd") / "data" / name


def fetch(remote: RemoteFile, folder: Path) -> Path:
    """The file in `folder`, downloaded and verified if it is not there.

    Raises:
        MachineError: if pooch is missing, the network or the disk refuses, or the sum differs.
    """
    need_package("pooch", "learn", remote.url)
    import pooch

    pooch.get_logger().setLevel("WARNING")
    name = remote.url.rpartition("/")[2]
    files.make_folder(folder)
    # Other processes may fetch the same file: each to its own name, then a rename.
    temporary = files.temporary_in(folder)
    try:
        pooch.retrieve(remote.url, known_hash=remote.known_hash, fname=temporary.name, path=folder)
        return temporary.replace(folder / name)
    except Exception as error:  # pooch hands on whatever its HTTP library raises
        raise MachineError(
            f"{remote.url}: cannot be downloaded: {error}",
            hint=f"put the file into {folder} by hand",
        ) from error
    finally:
        files.discard(temporary)


def not_found_error(name: str, places: Sequence[Path], other_way: str = "") -> MachineError:
    """The error for a data set that lies nowhere: where was looked, and what to do."""
    return MachineError(
        f"{name}: got none of its files in {', '.join(map(str, places))}, want them there",
        hint=f"{other_way}give --data-dir DIR or --allow-download",
    )
