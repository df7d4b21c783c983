"""Some classes of a training split, looked at without a copy of their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.fields.image import Image
from edgekd.learn.data.classes import find_samples
from edgekd.learn.data.classes import restrict_classes
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import epoch_batches
from edgekd.learn.view_settings import Views
from tests import data_example

LABELS = np.array([3, 0, 1, 2, 1, 0, 3, 2, 1])


def samples(images: np.ndarray | None = None, **views: float) -> Samples:
    """Each image is its own number."""
    if images is None:
        images = np.arange(9, dtype=np.uint8).reshape(9, 1, 1, 1)
    return data_example.samples(
        images=images,
        labels=LABELS,
        classes=4,
        image=Image(height=1, width=1, channels=1, mean=(0.0,), std=(1 / 255,)),
        views=Views(count=1, **views),
        seed=0,
    )


def test_the_samples_of_some_classes_and_their_labels_as_they_were() -> None:
    assert find_samples(LABELS, [1, 3]).tolist() == [0, 2, 4, 6, 8]
    some = restrict_classes(samples(), (3, 1, 1))
    batch = some.batch(np.array([4, 0, 1]), 0)
    assert len(some) == 5
    assert batch.inputs[0].ravel().tolist() == [8, 0, 2]
    assert batch.targets["labels"].tolist() == [1, 3, 1]
    assert some.classes == 4


def test_an_epoch_shows_each_of_them_once_and_no_other() -> None:
    some = restrict_classes(samples(), [0, 2])
    batches = epoch_batches(some, epoch=1, batch_size=2, seed=0, start=0, workers=0)
    assert sorted(i for b in batches for i in b.inputs[0].ravel().tolist()) == [1, 3, 5, 7]


def test_mixing_stays_among_them() -> None:
    some = restrict_classes(samples(mixup=1.0), [1, 3])
    labels = some.batch(np.arange(5), 0).targets["labels"]
    assert labels.shape == (5, 4)
    assert labels[:, [0, 2]].max() == 0


def test_of_a_file_only_the_rows_of_a_batch_are_read(tmp_path: Path) -> None:
    path = tmp_path / "images.npy"
    np.save(path, samples().rows["images"])
    whole = np.load(path, mmap_mode="r")
    some = restrict_classes(samples(whole), [2])
    assert some.rows["images"].whole is whole  # type: ignore[union-attr]
    assert some.rows["images"].shape == (2, 1, 1, 1)  # type: ignore[union-attr]
    assert some.batch(np.array([1]), 0).inputs[0].item() == 7


def test_classes_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="want numbers from 0 to 3"):
        restrict_classes(samples(), [3, 4])
    with pytest.raises(ValueError, match="no sample of classes"):
        restrict_classes(samples(), [])
