from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.data import npz
from tests import data_example
from tests.data_example import checked

IMAGES = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
LABELS = np.array([[0], [1]], np.int32)


def test_three_splits_with_class_names(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    splits = ("train", "val", "test")
    np.savez_compressed(
        path,
        **{f"{split}_images": IMAGES for split in splits},
        **{f"{split}_labels": LABELS for split in splits},
        classes=np.array(["cat", "dog"]),
    )
    got = checked(npz.read(reference=str(path)), "npz")
    assert None not in (got.validation, got.test)
    assert got.classes == ("cat", "dog")
    assert np.array_equal(got.train.images[..., 0], IMAGES)
    assert npz.files(reference="a.npz", data_dir=tmp_path) == [path]


def test_arrays_of_any_name(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, pictures=IMAGES, answers=LABELS)
    got = data_example.opened(npz.read(reference=str(path), images="pictures", labels="answers"))
    assert got.train.labels.tolist() == [0, 1]
    assert got.classes == ("0", "1")
    with pytest.raises(InputError, match="got no array 'pixels', want it"):
        data_example.opened(npz.read(reference=str(path), images="pixels", labels="answers"))
    with pytest.raises(InputError, match="got no array train_images or"):
        data_example.opened(npz.read(reference=str(path)))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES / 255, LABELS, "float64"),
        (IMAGES, np.array([0, np.nan]), "NaN"),
        (IMAGES[0], LABELS, r"uint8 \[4, 4\]"),
        (IMAGES, np.array(["a", "b"]), "labels of type"),
    ],
)
def test_wrong_arrays(tmp_path: Path, images: np.ndarray, labels: np.ndarray, message: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=images, y=labels)
    with pytest.raises(InputError, match=message):
        data_example.opened(npz.read(reference=str(path)))


def test_class_names_are_text(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=IMAGES, y=LABELS, classes=np.array([1, 2]))
    with pytest.raises(InputError, match="classes: got int64"):
        data_example.opened(npz.read(reference=str(path)))


def test_channels_that_come_second_have_to_be_said(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 3, 32, 16), dtype=np.uint8)
    path = tmp_path / "a.npz"
    np.savez(path, x=images, y=np.array([0, 1] * 3))
    with pytest.raises(InputError, match=r"\[6, 3, 32, 16\], want the channels on the last axis"):
        data_example.opened(npz.read(reference=str(path)))
    got = data_example.opened(npz.read(reference=str(path), axes="NCHW"))
    assert np.array_equal(got.train.images, np.moveaxis(images, 1, -1))
    assert data_example.opened(npz.read(reference=str(path), axes="NHWC")).train.images.shape == (
        6,
        3,
        32,
        16,
    )
    with pytest.raises(InputError, match="axes: got 'CHW', want NHWC or NCHW"):
        data_example.opened(npz.read(reference=str(path), axes="CHW"))
