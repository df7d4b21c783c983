"""The arrays a data stage made, opened for a stage that learns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

from edgekd.learn.data.loader import Samples
from edgekd.learn.settings import Views
from edgekd.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Part(NamedTuple):
    """One split."""

    images: NDArray[np.uint8]
    """[N, H, W, C]."""
    labels: NDArray[np.int64]
    """[N]."""


class Described(NamedTuple):
    """What data.json says."""

    classes: tuple[str, ...]
    preprocessing: Preprocessing


def described(path: Path) -> Described:
    """Read data.json."""
    value = json.loads(path.read_bytes())
    preprocessing = Preprocessing.model_validate_json(json.dumps(value["preprocessing"]))
    return Described(tuple(value["classes"]), preprocessing)


def part(given: Mapping[str, Path], name: str) -> Part:
    """The split called `name`; its images stay on disk until they are looked at."""
    images = np.load(given[f"{name}_images"], mmap_mode="r", allow_pickle=False)
    return Part(images, np.load(given[f"{name}_labels"], allow_pickle=False))


def samples(given: Mapping[str, Path], views: Views, seed: int) -> Samples:
    """The training split, seen through `views`."""
    about, train = described(given["data"]), part(given, "train")
    return Samples(
        images=train.images,
        labels=train.labels,
        classes=len(about.classes),
        preprocessing=about.preprocessing,
        views=views,
        seed=seed,
    )
