"""The map of a view is the view of the map: an image whose pixels are its map's classes moves to the same places."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.fields.image import Image
from edgekd.fields.map import Map
from edgekd.learn.view import View
from edgekd.learn.view_settings import Affine
from edgekd.learn.view_settings import RandomResizedCrop
from edgekd.learn.view_settings import Views
from edgekd.learn.views import image
from edgekd.learn.views import map as maps
from edgekd.learn.views import view_field

COUNT, HEIGHT, WIDTH = 30, 9, 12
NAMES = tuple("abcdef")
PLAIN = Image(height=HEIGHT, width=WIDTH, channels=1, mean=(0.0,), std=(1 / 255,))
"""Gives pixels as they are."""


def field(ignored: int = 255) -> Map:
    return Map(height=HEIGHT, width=WIDTH, names=NAMES, ignored=ignored)


def view_of(words: Views, number: int = 2, indices: tuple[int, ...] = tuple(range(COUNT))) -> View:
    return View(words, 7, np.array(indices), number, COUNT)


def classes(low: int = 1) -> np.ndarray:
    """No pixel is 0, which is an image's padding."""
    return np.random.default_rng(1).integers(low, len(NAMES), (COUNT, HEIGHT, WIDTH), np.uint8)


@pytest.mark.parametrize("ignored", [255, -1, 300])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
@pytest.mark.parametrize(
    "words",
    [
        Views(),
        Views(flip=True),
        Views(crop=3),
        Views(crop=3, flip=True),
        Views(crop=40, flip=True),
        Views(crop=2, flip=True, affine=Affine()),
    ],
)
def test_it_goes_where_the_pixels_go(words: Views, dtype: type, ignored: int) -> None:
    rows, view = classes(), view_of(words)
    pixels = image.apply_view(PLAIN, rows[..., None], view)[:, 0].round().astype(np.int64)
    moved = maps.apply_view(field(ignored), rows.astype(dtype), view)
    assert moved.dtype == np.int64
    np.testing.assert_array_equal(moved, np.where(pixels == 0, ignored, pixels))
    assert (moved == ignored).any() == bool(words.crop)


@pytest.mark.parametrize(
    "words",
    [
        Views(flip=True, affine=Affine(degrees=30, translate=0.2)),
        Views(flip=True, affine=Affine(degrees=30, translate=0.2, scale=0.3)),
        Views(flip=True, random_resized_crop=RandomResizedCrop(scale=(0.4, 0.9))),
    ],
)
def test_it_moves_as_the_image_and_mixes_no_classes(words: Views) -> None:
    """Where all that the image reads is of one class, both say the same; a class that is not there never comes up."""
    blocks = np.random.default_rng(2).choice(np.array([1, 5], np.uint8), (COUNT, 3, 4))
    rows = blocks.repeat(3, 1).repeat(3, 2)
    view = view_of(words)
    values = image.apply_view(PLAIN, rows[..., None], view)[:, 0]
    moved = maps.apply_view(field(), rows, view)
    assert set(np.unique(moved).tolist()) == {1, 5}
    sure = (np.abs(values - 1) < 1e-3) | (np.abs(values - 5) < 1e-3)
    assert 0.2 < sure.mean() < 1
    np.testing.assert_array_equal(moved[sure], values.round()[sure].astype(np.int64))
    assert not np.array_equal(moved, rows)


def test_the_nearest_pixel_by_hand() -> None:
    ramp = np.arange(12).reshape(3, 4)
    y, x = np.array([[-2.0, 0.4, 1.6, 9.0]]), np.array([[-1.0, 1.4, 2.6, 9.0]])
    np.testing.assert_array_equal(maps.take_nearest(ramp, y, x), [[0, 1, 11, 11]])


def test_it_depends_on_its_own_sample_alone_and_on_the_view() -> None:
    words = Views(crop=2, flip=True, affine=Affine(degrees=10))
    rows = classes()
    whole = maps.apply_view(field(), rows, view_of(words))
    part = maps.apply_view(field(), rows, view_of(words, indices=(17, 3)))
    np.testing.assert_array_equal(part, whole[[17, 3]])
    assert not np.array_equal(whole, maps.apply_view(field(), rows, view_of(words, 3)))


def test_erasing_leaves_it() -> None:
    rows = classes()
    np.testing.assert_array_equal(maps.apply_view(field(), rows, view_of(Views(erase=1.0))), rows)


def test_views_find_it_by_its_kind() -> None:
    rows, view = classes(), view_of(Views(crop=3))
    (moved,) = view_field("maps", field(), rows, view).values()
    np.testing.assert_array_equal(moved, maps.apply_view(field(), rows, view))
    assert (moved == 255).any()
