"""What a bundle runs for other sizes than the usual ones, each as a folder that is measured like a bundle of one file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from edgekd.bench import golden
from edgekd.bench.sized_calls import group_sizes
from edgekd.bundle import Bundle
from edgekd.bundle.manifest import GOLDEN
from edgekd.bundle.manifest import MODEL
from edgekd.bundle.models import models_by_size


def write_size_folders(found: Bundle, goal: Path) -> Iterator[tuple[str, Path]]:
    """Yield of each bucket of sizes that the usual ones are not in ``text_length=256``, its largest golden samples' sizes, and
    a folder in `goal` with its file and these samples.

    Raises:
        InputError: if no golden sample falls into a bucket.
    """
    for number, model in enumerate(models_by_size(found)):
        if golden.USUAL in model.golden:
            continue
        sizes = {name: group_sizes(found.interface, each) for name, each in model.golden.items()}
        largest = max(sizes, key=lambda name: sum(sizes[name].values()))
        folder = goal / str(number)
        folder.mkdir(parents=True)
        shutil.copyfile(model.path, folder / MODEL)
        golden.write(folder / GOLDEN, {golden.USUAL: model.golden[largest]})
        yield ",".join(f"{axis}={size}" for axis, size in sizes[largest].items()), folder
