"""The arrays a data stage made, opened for a stage that learns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.errors import InputError
from edgekd.errors import nearest
from edgekd.learn.data import classes
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

    def batches(
        self, size: int
    ) -> Iterator[tuple[tuple[NDArray[Any], ...], dict[str, NDArray[Any]]]]:
        """Inputs and targets, each [B, ...]; no more than one batch is in memory."""
        for at in range(0, len(self.chosen), size):
            rows = np.sort(self.chosen[at : at + size])
            inputs = (self.preprocessing.apply(self.train.images[rows]),)
            yield inputs, {"labels": self.train.labels[rows]}


def calibration(given: Mapping[str, Path], count: int, seed: int) -> Calibration:
    """At most `count` images of the training split, drawn without replacement."""
    train = part(given, "train")
    chosen = loader.order(len(train.labels), seed, 0)[:count]
    return Calibration(train, chosen, described(given["data"]).preprocessing, seed)


def samples(
    given: Mapping[str, Path], views: Views, seed: int, only: Sequence[str] = ()
) -> Samples:
    """The training split, seen through `views`; of the classes that `only` names, or of all.

    Raises:
        InputError: if a class is not the data's.
    """
    about, train = described(given["data"]), part(given, "train")
    whole = Samples(
        images=train.images,
        labels=train.labels,
        classes=len(about.classes),
        preprocessing=about.preprocessing,
        views=views,
        seed=seed,
    )
    for name in only:
        if name not in about.classes:
            raise InputError(
                f"only: got {name!r}, want classes of the data", hint=nearest(name, about.classes)
            )
    if not only:
        return whole
    return classes.restricted(whole, [about.classes.index(name) for name in only])
