"""The arrays a data stage made, opened for a stage that learns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

from edgekd.learn.data import loader
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


class Calibration(NamedTuple):
    """Training images as they are, on which ranges, moments and gradients are taken."""

    train: Part
    chosen: NDArray[np.int64]
    """[N], indices into it."""
    preprocessing: Preprocessing
    seed: int

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Inputs [B, C, H, W] and labels [B]; no more than one batch is in memory."""
        for at in range(0, len(self.chosen), size):
            rows = np.sort(self.chosen[at : at + size])
            yield self.preprocessing.apply(self.train.images[rows]), self.train.labels[rows]


def calibration(given: Mapping[str, Path], count: int, seed: int) -> Calibration:
    """At most `count` images of the training split, drawn without replacement."""
    train = part(given, "train")
    chosen = loader.order(len(train.labels), seed, 0)[:count]
    return Calibration(train, chosen, described(given["data"]).preprocessing, seed)


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
