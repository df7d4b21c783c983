"""Lists of texts on Hugging Face's hub: their files of one form and one commit, in edgekd's own cache."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgekd.errors import InputError
from edgekd.learn import hub
from edgekd.learn.data.lists import list_files
from edgekd.learn.data.spooled_texts import list_spool
from edgekd.learn.formats import parquet
from edgekd.learn.formats.records import MOST_BYTES
from edgekd.learn.formats.records import find_list_suffix
from edgekd.learn.source import locate
from edgekd.learn.source import need_package

_NAME = re.compile(r"(?:hub:)?([\w-][\w.-]*/[\w-][\w.-]*)(?:/([\w-][\w.-]*))?")
"""``OWNER/NAME``, and the folder of one of its configurations."""
PREFIX = "hub:"
"""May stand before a name; then it is one, whatever lies here."""


def find_name(reference: str, data_dir: Path | None) -> tuple[str, str] | None:
    """Name and folder of a list on the hub; None if `reference` is here.

    Raises:
        InputError: if it is neither here nor can be such a name.
    """
    found = _NAME.fullmatch(reference)
    if found and reference.startswith(PREFIX):
        return found[1], found[2] or ""
    try:
        locate(reference, data_dir)
    except InputError:
        if found is None or find_list_suffix(Path(reference)):
            raise
        return found[1], found[2] or ""
    return None


def pins(
    *, reference: str, data_dir: Path | None = None, allow_download: bool = False, **_: Any
) -> dict[str, str]:
    """For a name on the hub, the commit it stands at; nothing for local files.

    Raises:
        InputError: if the hub may not be asked.
        MachineError: if it cannot.
    """
    name = find_name(reference, data_dir)
    if name is None:
        return {}
    require_leave(reference, data_dir, allow_download)
    return {f"hub:{name[0]}": hub.find_commit(name[0])}


def remote(*, reference: str, data_dir: Path | None = None, **_: Any) -> tuple[str, ...]:
    """What the hub would be asked for; nothing if the files are here."""
    name = find_name(reference, data_dir)
    return () if name is None else (PREFIX + "/".join(filter(None, name)),)


def list_local(reference: str, data_dir: Path | None, allow_download: bool) -> list[Path]:
    """The files of a list that is here; none of a name on the hub (see `pins`).

    Raises:
        InputError: if there are none and the hub may not be asked.
    """
    if find_name(reference, data_dir) is None:
        return list_spool(reference, data_dir, lambda: list_files(reference, data_dir))
    require_leave(reference, data_dir, allow_download)
    return []


def fetch(
    reference: str,
    data_dir: Path | None,
    allow_download: bool,
    suffixes: tuple[str, ...] = parquet.SUFFIXES,
) -> str:
    """`reference` itself, or where the files of that name on the hub lie now.

    Args:
        reference: a path, or a name on the hub.
        data_dir: the user's folder of data sets.
        allow_download: whether the hub may be asked.
        suffixes: of the files that are read.

    Raises:
        InputError: if the hub may not be asked, or has no or too many of those files under that name.
        MachineError: if it cannot be reached.
    """
    name = find_name(reference, data_dir)
    if name is None:
        return reference
    require_leave(reference, data_dir, allow_download)
    need_package("huggingface_hub", "hub", reference)
    repository, folder = name
    commit = hub.find_commit(repository)
    inside = list_inside(name, commit, suffixes)
    total = sum(size for _, size in inside)
    if not inside or total > MOST_BYTES:
        got = f"no {suffixes[0]} files" if not inside else f"{total} bytes of {suffixes[0]}"
        raise InputError(
            f"{reference}: got {got} on the hub, want at most {MOST_BYTES} bytes",
            hint="OWNER/NAME/FOLDER takes those of one folder alone",
        )
    place = hub.fetch_files(repository, commit, [path for path, _ in inside])
    return str(place / folder if folder else place)


def list_inside(
    name: tuple[str, str], commit: str, suffixes: tuple[str, ...]
) -> list[tuple[str, int]]:
    """The files of a name on the hub at a commit that have one of some suffixes, each with its bytes."""
    repository, folder = name
    return [
        (path, size)
        for path, size in hub.list_files(repository, commit)
        if path.endswith(suffixes) and (not folder or path.startswith(f"{folder}/"))
    ]


def require_leave(reference: str, data_dir: Path | None, allow_download: bool) -> None:
    if not allow_download:
        hint = "a name on the hub needs --allow-download"
        try:
            locate(reference, data_dir)
        except InputError as error:
            raise InputError(str(error), hint=hint) from error
        raise InputError(f"{reference}: got no leave to use the network", hint=hint)
