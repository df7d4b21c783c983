"""What a data stage made, as calibration reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.field import from_rows
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.fields.tokens import Tokens
from edgekd.learn import arrays
from edgekd.learn.view_settings import Views
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
    one, two = (labels(arrays.draw_calibration(given, 10, seed)) for seed in (1, 2))
    assert len(set(one)) == 10 and set(one) != set(two)
    assert one == labels(arrays.draw_calibration(given, 10, 1))


def test_more_than_there_are_is_all(given: dict[str, Path]) -> None:
    assert sorted(labels(arrays.draw_calibration(given, 1000, 0))) == list(range(50))


def test_batches_are_prepared_and_stay_beside_their_labels(given: dict[str, Path]) -> None:
    data = arrays.draw_calibration(given, 10, 0)
    sizes = []
    for (images,), targets in data.batches(4):
        sizes.append(len(images))
        assert images.shape[1:] == (1, 4, 5) and images.dtype == np.float32
        np.testing.assert_allclose(
            images[:, 0, 0, 0], (targets["labels"] / 255 - 0.5) / 0.25, rtol=1e-5
        )
    assert sizes == [4, 4, 2]
    assert labels(data) == labels(data)  # it can be read again


def test_views_that_change_no_input_of_the_data_are_one_line(tmp_path: Path) -> None:
    tokens = from_rows([np.array([1, 2], np.int32)] * 2, np.zeros(0, np.int32))
    found = Dataset(
        task="classification",
        inputs={"text": Tokens(vocabulary=3, usual=2, longest=2)},
        targets={"labels": Label(names=("a", "b"))},
    )
    given = {"data": tmp_path / "data.json", "train": tmp_path / "train"}
    given["data"].write_bytes(files.pretty_json(dataset.to_json(found)))
    splits.write(given["train"], {"text": tokens, "labels": np.array([0, 1])}, np.arange(2))
    assert len(arrays.open_samples(given, Views(count=2), 0)) == 2
    with pytest.raises(
        InputError, match=r"^views.flip: got it for inputs of kind tokens, want it for image$"
    ):
        arrays.open_samples(given, Views(flip=True, crop=2), 0)
