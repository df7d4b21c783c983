"""Source `images`: pictures anywhere below a folder, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.errors import InputError
from edgekd.learn.data.folder_contents import FolderContents
from edgekd.learn.data.folder_contents import describe_others
from edgekd.learn.data.folder_contents import list_contents
from edgekd.learn.data.image_storage import choose_encoded
from edgekd.learn.data.image_storage import read_images
from edgekd.learn.formats.encoded_images import whole_files
from edgekd.learn.formats.image import shape_of
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
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
    resize: Count | None = None,
    channels: Count = 3,
    stored: str = "auto",
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The pictures below the folder `reference`, upright.

    Args:
        reference: the folder.
        size: side of the square every picture is scaled and cut to; None if all have one size.
        resize: shorter side that a picture is scaled to before the middle is cut out; None is `size` itself.
        channels: 3 for colour, 1 for grey.
        stored: ``pixels``, ``encoded`` or ``auto``, as for `image-folder`.
        on_broken: ``refuse`` stops at the first broken one, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the file that cannot be used.
        MachineError: if Pillow is missing or they do not fit into memory.
    """
    require_known(on_broken)
    shape = shape_of(size, channels, f"images:{reference}", resize)
    paths, foreign, others = _list_files(locate(reference, data_dir))
    read, skipped = read_images(
        whole_files(paths),
        [0] * len(paths),
        shape,
        lambda number: str(paths[number]),
        are_encoded=choose_encoded(stored, shape, len(paths)),
        on_broken=on_broken,
    )
    if not len(read.images):
        raise InputError(f"images:{reference}: got no image that can be read, want some")
    count = number_text(len(read.images), "image")
    note = f"{count} without labels{describe_others([*foreign, *others])}"
    fields = {"images": FieldWords("image", {"resize": resize} if resize else {})}
    return Source({"train": {"images": read.images}}, fields, (note,), tuple(skipped))
