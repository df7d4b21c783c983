"""Source `images`: pictures anywhere below a folder, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.data.folder_contents import FolderContents
from edgekd.learn.data.folder_contents import describe_others
from edgekd.learn.data.folder_contents import list_contents
from edgekd.learn.formats.image import LIMIT_BYTES
from edgekd.learn.formats.image import decode
from edgekd.learn.formats.image import need_same_size
from edgekd.learn.formats.image import shape_of
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import need_memory
from edgekd.learn.source import require_known
from edgekd.settings import Count
from edgekd.units import number_text


def files(*, reference: str, data_dir: Path | None = None, **_: Any) -> list[Path]:
    """All pictures, by name.

    Raises:
        InputError: if there are none.
    """
    root = locate(reference, data_dir)
    return _list_files(root).images


def _list_files(root: Path) -> FolderContents:
    contents = list_contents(root, root.resolve())
    if not contents.images:
        raise InputError(f"{root}: got no images, want some")
    return contents


def read(
    *,
    reference: str,
    size: Count | None = None,
    channels: Count = 3,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The pictures below the folder `reference`, upright.

    Args:
        reference: the folder.
        size: side of the square every picture is scaled and cut to; None if all have one size.
        channels: 3 for colour, 1 for grey.
        on_broken: ``refuse`` stops at the first broken one, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the file that cannot be used.
        MachineError: if Pillow is missing or they do not fit into memory.
    """
    require_known(on_broken)
    shape = shape_of(size, channels, f"images:{reference}")
    paths, foreign, others = _list_files(locate(reference, data_dir))
    rows: list[np.ndarray] = []
    skipped: list[str] = []
    for path in paths:
        try:
            with disk.open_regular(path) as file:
                image = decode(file.read(LIMIT_BYTES + 1), shape, str(path))
        except InputError as error:
            if on_broken == "refuse":
                raise InputError(str(error), hint=error.hint or SKIP_HINT) from error
            skipped.append(str(error))
            continue
        if not rows:
            need_memory(len(paths) * image.nbytes, str(path.parent))
        else:
            need_same_size(image, rows[0], str(path), str(paths[0]))
        rows.append(image)
    if not rows:
        raise InputError(f"images:{reference}: got no image that can be read, want some")
    note = f"{number_text(len(rows), 'image')} without labels{describe_others([*foreign, *others])}"
    fields = {"images": FieldWords("image")}
    return Source({"train": {"images": np.stack(rows)}}, fields, (note,), tuple(skipped))
