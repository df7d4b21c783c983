"""Samples composed of scikit-learn's digits: their forms, the same every time, and no digit in two splits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import rotate

from edgekd.fields import find_field
from edgekd.learn.data import SOURCES
from edgekd.learn.data import digit_crowds
from edgekd.learn.data import digit_scenes
from edgekd.learn.data import digit_shares
from edgekd.learn.data import turned_digits
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task

NAMES = {
    "turned-digits": (turned_digits, "regression"),
    "digit-scenes": (digit_scenes, "segmentation"),
    "digit-crowds": (digit_crowds, "multi-label"),
}


@pytest.fixture(scope="module")
def made() -> dict[str, Source]:
    return {name: require_sound(module.read(), name) for name, (module, _) in NAMES.items()}


@pytest.mark.parametrize("name", NAMES)
def test_fields_are_those_of_the_table_and_of_the_task(name: str, made: dict[str, Source]) -> None:
    source, task = made[name], load_task(NAMES[name][1])
    assert {key: words.kind for key, words in source.fields.items()} == SOURCES[name].gives
    assert dict(task.targets).items() <= dict(SOURCES[name].gives).items()
    assert BUILT_IN[NAMES[name][1]].example.source == name
    order = np.arange(len(source.splits["train"]["images"]))
    for key, words in source.fields.items():
        rows = source.splits["train"][key]
        field = find_field(words.kind).describe(rows, order, **words.words)
        for split, each in source.splits.items():
            field.check(each[key], f"{name}, {split}")


@pytest.mark.parametrize("name", NAMES)
def test_every_reading_is_the_same(name: str, made: dict[str, Source]) -> None:
    again = NAMES[name][0].read()
    assert set(again.splits) == {"train", "validation", "test"}
    for split, rows in again.splits.items():
        for key, each in rows.items():
            np.testing.assert_array_equal(np.asarray(each), made[name].splits[split][key])


def test_no_digit_is_in_two_splits() -> None:
    parts = digit_shares.split_digits()
    whole = digit_shares.digits.read().splits["train"]
    rows = [*parts.values()]
    pixels = np.concatenate([part.images for part in rows]).reshape(-1, 64)
    labels = np.concatenate([part.labels for part in rows])
    together, given = (
        np.lexsort(np.c_[np.asarray(x).reshape(-1, 64), y].T)
        for x, y in ((pixels, labels), (whole["images"], whole["labels"]))
    )
    np.testing.assert_array_equal(
        pixels[together], np.asarray(whole["images"]).reshape(-1, 64)[given]
    )
    np.testing.assert_array_equal(labels[together], np.asarray(whole["labels"])[given])
    assert [len(part.labels) for part in rows] == [1078, 360, 359]
    for part in rows:
        assert set(part.labels.tolist()) == set(range(10))


def test_a_digit_turned_back_stands_still(made: dict[str, Source]) -> None:
    rows = made["turned-digits"].splits["validation"]
    still = np.pad(digit_shares.split_digits()["validation"].images, ((0, 0), (2, 2), (2, 2)))
    images, angles = np.asarray(rows["images"]), np.asarray(rows["numbers"])
    assert np.abs(angles).max() <= 40 and np.abs(angles).max() > 35
    for digit, image, (angle,) in zip(still[:50], images, angles.tolist(), strict=False):
        back = rotate(image[..., 0].astype(float), -angle, reshape=False, order=1).ravel()
        assert np.corrcoef(back, digit.ravel())[0, 1] > 0.85


def test_pixels_of_a_digit_are_lighter_than_what_is_behind(made: dict[str, Source]) -> None:
    rows = made["digit-scenes"].splits["test"]
    images, maps = np.asarray(rows["images"])[..., 0], np.asarray(rows["maps"])
    assert images[maps > 0].min() >= digit_scenes.INK - 1
    assert images[maps > 0].mean() > 2.5 * images[maps == 0].mean()
    assert 1 <= len(np.unique(maps[0])) - 1 <= 4
    assert np.unique(maps).tolist() == list(range(11))


def test_a_crowd_has_no_more_classes_than_digits(made: dict[str, Source]) -> None:
    rows = made["digit-crowds"].splits["train"]
    images, classes = np.asarray(rows["images"])[..., 0], np.asarray(rows["labels"])
    quarters = images.reshape(-1, 2, 12, 2, 12).any((2, 4)).sum((1, 2))
    assert set(quarters.tolist()) == {1, 2, 3, 4}
    assert (classes.sum(1) >= 1).all() and (classes.sum(1) <= quarters).all()
    assert (classes.sum(1) < quarters).any()
