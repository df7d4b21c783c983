"""What a data stage made, as calibration reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.fields.image import Image
from edgekd.learn import arrays
from tests import data_example

IMAGE = Image(height=4, width=5, channels=1, mean=(0.5,), std=(0.25,))


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Path]:
    """50 images; pixel and label of each are its number."""
    numbers = np.arange(50, dtype=np.uint8)
    images = numbers[:, None, None, None].repeat(4, 1).repeat(5, 2)
    classes = data_example.names(50)
    return data_example.write_data(tmp_path, IMAGE, classes, train=(images, numbers))


def labels(data: arrays.Calibration, size: int = 4) -> list[int]:
    return [int(label) for _, batch in data.batches(size) for label in batch["labels"]]


def test_calibration_is_drawn_by_the_seed(given: dict[str, Path]) -> None:
    one, two = (labels(arrays.calibration(given, 10, seed)) for seed in (1, 2))
    assert len(set(one)) == 10 and set(one) != set(two)
    assert one == labels(arrays.calibration(given, 10, 1))


def test_more_than_there_are_is_all(given: dict[str, Path]) -> None:
    assert sorted(labels(arrays.calibration(given, 1000, 0))) == list(range(50))


def test_batches_are_prepared_and_stay_beside_their_labels(given: dict[str, Path]) -> None:
    data = arrays.calibration(given, 10, 0)
    sizes = []
    for (images,), targets in data.batches(4):
        sizes.append(len(images))
        assert images.shape[1:] == (1, 4, 5) and images.dtype == np.float32
        np.testing.assert_allclose(
            images[:, 0, 0, 0], (targets["labels"] / 255 - 0.5) / 0.25, rtol=1e-5
        )
    assert sizes == [4, 4, 2]
    assert labels(data) == labels(data)  # it can be read again
