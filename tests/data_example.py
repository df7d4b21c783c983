"""Data sets of labelled images as the data stage leaves them, for tests of what takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.learn.describe import describe_fields
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound
from edgekd.learn.task_losses import find_label_terms
from edgekd.tasks import classification

if TYPE_CHECKING:
    from edgekd.learn.data.loader import Samples
    from edgekd.learn.view_settings import Views

TASK = "classification"
LABELS_ALONE = find_label_terms((), classification.TASK)


def image(height: int, width: int, channels: int = 1, mean: float = 0.5, std: float = 0.5) -> Image:
    """Every channel with the same mean and standard deviation."""
    return Image(
        height=height,
        width=width,
        channels=channels,
        mean=(mean,) * channels,
        std=(std,) * channels,
    )


def names(classes: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(classes))


def labelled(field: Image, classes: Sequence[str], **more: Any) -> Dataset:
    """Images and one class a sample."""
    label = Label(names=tuple(classes))
    return Dataset(task=TASK, inputs={"images": field}, targets={"labels": label}, **more)


def samples(
    *,
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
    image: Image,
    views: Views,
    seed: int,
) -> Samples:
    """A training split."""
    from edgekd.learn.data.loader import Samples

    rows = {"images": images, "labels": labels}
    return Samples(dataset=labelled(image, names(classes)), rows=rows, views=views, seed=seed)


def blank(labels: np.ndarray, classes: int) -> Samples:
    """Blank images with these labels."""
    from edgekd.learn.view_settings import Views

    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    words: dict[str, Any] = {"image": image(2, 2), "views": Views(), "seed": 0}
    return samples(images=images, labels=labels, classes=classes, **words)


def write_data(
    folder: Path, field: Image, classes: Sequence[str], **parts: tuple[np.ndarray, np.ndarray]
) -> dict[str, Path]:
    """data.json and a file a split, by the names that stages call them.

    Args:
        folder: is made.
        field: the images.
        classes: names.
        parts: images and labels by split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = {name: len(labels) for name, (_, labels) in parts.items()}
    made = {"data": folder / "data.json"}
    made["data"].write_bytes(
        files.pretty_json(dataset.to_json(labelled(field, classes, counts=counts)))
    )
    for name, (images, labels) in parts.items():
        made[name] = folder / name
        rows = {"images": images, "labels": labels.astype(np.int64)}
        splits.write(made[name], rows, np.arange(len(labels)))
    return made


class Opened(NamedTuple):
    """A source of labelled images, taken apart."""

    train: LabelledImages
    validation: LabelledImages | None
    test: LabelledImages | None
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    skipped: tuple[str, ...]


def opened(source: Source) -> Opened:
    """The splits and classes of a source of labelled images."""
    parts = {name: LabelledImages(**rows) for name, rows in source.splits.items()}
    return Opened(
        parts["train"],
        parts.get("validation"),
        parts.get("test"),
        source.fields["labels"].words["names"],
        source.notes,
        source.skipped,
    )


def check(source: Source, where: str = "here") -> Dataset:
    """What the data stage says of a source, or refuses."""
    from edgekd.tasks.classification import TASK as task

    train = require_sound(source, where).splits["train"]
    everything = np.arange(len(next(iter(train.values()))))
    return describe_fields(source, task, everything, {}, where)


def checked(source: Source, where: str) -> Opened:
    """A source that the data stage takes, taken apart."""
    check(source, where)
    return opened(source)
