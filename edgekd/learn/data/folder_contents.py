"""What lies below a folder of images: images, images of formats that are not read, and other files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.learn.formats.image import FOREIGN_SUFFIXES
from edgekd.learn.formats.image import SUFFIXES
from edgekd.learn.formats.image import read_size
from edgekd.learn.source import require_names
from edgekd.units import number_text

LEFT_BY_SYSTEMS = {"thumbs.db", "desktop.ini"}
"""Files that a desktop leaves behind, beside those whose name begins with a dot; they are not counted."""
MOST_NAMED = 3
"""Other files that a sentence names."""


class FolderContents(NamedTuple):
    """Files anywhere below a folder, each sorted."""

    images: list[Path]
    foreign: list[Path]
    """Images in a format that is not read, and images whose name has no suffix."""
    others: list[Path]
    """What is no image by its suffix."""


def list_contents(folder: Path, root: Path) -> FolderContents:
    """Sort the files anywhere below a class folder, each inside `root` behind links.

    Raises:
        InputError: for a link out of `root` or to a folder, or a name that cannot be shown.
    """
    require_inside(folder, root)
    contents = FolderContents([], [], [])
    for here, inner, names in os.walk(folder):
        require_names((*inner, *names), here)
        for name in inner:
            if (Path(here) / name).is_symlink():
                raise InputError(f"{Path(here) / name}: got a link to a folder, want a folder")
        for name in names:
            if name.startswith(".") or name.lower() in LEFT_BY_SYSTEMS:
                continue
            path = Path(here) / name
            require_inside(path, root)
            _choose_list(contents, path).append(path)
    return FolderContents(*map(sorted, contents))


def _choose_list(contents: FolderContents, path: Path) -> list[Path]:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return contents.images
    is_image = suffix in FOREIGN_SUFFIXES or (not suffix and read_size(path) is not None)
    return contents.foreign if is_image else contents.others


def require_inside(path: Path, root: Path) -> None:
    """
    Raises:
        InputError: if `path` is a link out of `root`.
    """
    if path.is_symlink() and not path.resolve().is_relative_to(root):
        raise InputError(f"{path}: got a link out of {root}, want what lies inside")


def describe_others(paths: Sequence[Path]) -> str:
    """``; 2 other files passed over: a.txt, b.txt``; nothing if there are none."""
    if not paths:
        return ""
    names = ", ".join(path.name for path in paths[:MOST_NAMED])
    more = ", ..." if len(paths) > MOST_NAMED else ""
    return f"; {number_text(len(paths), 'other file')} passed over: {names}{more}"
