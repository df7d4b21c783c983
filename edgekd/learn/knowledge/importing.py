"""A finished store of answers, brought from elsewhere, as the beginning of a fill."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.layout import count_places
from edgekd.learn.knowledge.layout import require_same_origin
from edgekd.learn.knowledge.reading import require_size
from edgekd.learn.knowledge_settings import MANIFEST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAY_DIFFER = ("arithmetic",)
"""What an origin may have otherwise: threads and precision of another machine."""


def import_shards(source: Path, folder: Path) -> None:
    """Put a finished store's shards where a fill goes on from them: it asks anew for those that are not sound.

    Args:
        source: the store, such as `edgekd knowledge export` writes; it is only read.
        folder: that of `fill_store`, which refuses answers of something else.

    Raises:
        InputError: if there is no store.
        MachineError: if the disk is full.
    """
    import_files(lambda name: source / name, folder)


def import_files(locate: Callable[[str], Path], folder: Path) -> None:
    """Do the same with a store whose files lie anywhere.

    Args:
        locate: the place of the manifest and of each shard by its name.
        folder: that of `fill_store`.

    Raises:
        InputError: if there is no store.
        MachineError: if the disk is full.
    """
    manifest = layout.read_manifest(locate(MANIFEST))
    for number, digest in enumerate(manifest.digests):
        path, goal = (
            locate(layout.shard_name(number)),
            folder / f"{number:05}-{digest}.rows",
        )
        size_bytes = manifest.layout.shard_bytes(number)
        with suppress(InputError):  # asked anew
            require_size(path, size_bytes)
            copy = functools.partial(shutil.copyfile, path)
            files.write_through(goal, copy, size_bytes=size_bytes)
    data = files.canonical_json(manifest.describe())
    files.write_bytes(folder / MANIFEST, data)


def import_remains(remains: Mapping[str, Path], folder: Path) -> None:
    """Put shards that are left of the same answers where a fill goes on from them.

    Args:
        remains: their files by name; others are left out.
        folder: that of `fill_store`, which asks some of them again and wants the same to the bit.

    Raises:
        MachineError: if the disk is full.
    """
    for name, path in remains.items():
        number = layout.parse_shard_name(name)
        if number is not None:
            copy = functools.partial(shutil.copyfile, path)
            goal = folder / f"{number:05}-{files.digest_file(path)}.rows"
            files.write_through(goal, copy, size_bytes=path.stat().st_size)


def read_imported_manifest(
    folder: Path,
    place: StoreLayout,
    origin: Mapping[str, Any],
    lengths: NDArray[np.int64] | None = None,
) -> KnowledgeManifest | None:
    """The manifest beside shards that are there already: of an imported store, or of a fill that was killed at its end.

    Args:
        folder: where they lie.
        place: how the answers would be laid out here; shards may have other sizes.
        origin: what the answers are of.
        lengths: [samples], places of each, where every place has a row.

    Raises:
        InputError: if they are of something else; they are removed.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    manifest = layout.read_manifest(path)
    wanted = {name: value for name, value in origin.items() if name not in MAY_DIFFER}
    shard_rows = manifest.layout.shard_rows
    same_rows = place._replace(shard_rows=shard_rows, places=count_places(lengths, shard_rows))
    try:
        require_same_origin(
            "knowledge",
            {**manifest.origin, **_describe_layout(manifest.layout)},
            {**wanted, **_describe_layout(same_rows)},
        )
    except InputError:
        for each in (path, *folder.glob("*.rows")):
            files.remove(each)
        raise
    return manifest


def _describe_layout(place: StoreLayout) -> dict[str, Any]:
    return {
        "encoding": place.code.settings.model_dump(mode="json"),
        "number of views and samples": [place.views, place.samples],
        "shape": [list(shape) for shape in place.code.shapes],
        "number of layers": place.code.layers,
        "number of places": list(place.places),
    }
