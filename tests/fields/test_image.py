from __future__ import annotations

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.fields.image import STD_FLOOR
from edgekd.fields.image import Image
from edgekd.fields.image import mean_and_std


def test_mean_and_std_are_those_of_numpy_in_float64() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2500, 3, 5, 3), dtype=np.uint8)
    order = np.random.default_rng(1).permutation(2500)[:2100]
    mean, std = mean_and_std(images, order)
    chosen = images[order].astype(np.float64) / 255
    assert mean == pytest.approx(chosen.mean((0, 1, 2)), abs=1e-6)
    assert std == pytest.approx(chosen.std((0, 1, 2)), abs=1e-6)
    assert all(value == round(value, 6) for value in mean + std)


def test_they_do_not_depend_on_the_order() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1500, 2, 2, 1), dtype=np.uint8)
    assert mean_and_std(images, np.arange(1500)) == mean_and_std(images, np.arange(1500)[::-1])


def test_a_channel_that_never_changes_has_the_floor() -> None:
    images = np.full((4, 2, 2, 1), 255, np.uint8)
    assert mean_and_std(images, np.arange(4)) == ((1.0,), (round(STD_FLOOR, 6),))


def image(**changes: object) -> Image:
    facts = {"height": 2, "width": 3, "channels": 1, "mean": (0.5,), "std": (0.25,)}
    return Image(**{**facts, **changes})


def test_a_pixel_becomes_its_distance_from_the_mean_in_spreads() -> None:
    rows = np.arange(12, dtype=np.uint8).reshape(2, 2, 3, 1)
    (found,) = image().prepare("images", rows).values()
    want = (rows.transpose(0, 3, 1, 2) / 255.0 - 0.5) / 0.25
    assert found.dtype == np.float32 and found.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(found, want, atol=1e-6)


def test_it_is_described_by_what_is_trained_on_unless_said_otherwise() -> None:
    rows = np.array([[0], [255], [128]], np.uint8).reshape(3, 1, 1, 1)
    found = Image.describe(rows, np.array([0, 1]))
    assert found.mean == (0.5,) and found.std == (0.5,)
    assert Image.describe(rows, np.array([0, 1]), mean=(0.1,)).mean == (0.1,)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"height": 0}, "height 0"),
        ({"width": 2**15 + 1}, "width"),
        ({"height": 2**15, "width": 2**15}, "values an image"),
        ({"mean": (0.5, 0.5)}, "2 values in mean, want 1"),
        ({"std": (0.0,)}, "std"),
        ({"mean": (float("nan"),)}, "mean"),
        ({"mean": ("a",)}, "mean"),
        ({"channels": True}, "channels"),
    ],
)
def test_what_no_image_can_be_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        image(**changes)


@pytest.mark.parametrize(
    "rows",
    [np.zeros((2, 2, 3, 3), np.uint8), np.zeros((2, 2, 3, 1)), np.zeros((0, 2, 3, 1), np.uint8)],
)
def test_rows_of_another_form_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"want uint8 \[N, 2, 3, 1\]"):
        image().check(rows, "train split")


def test_other_usual_preprocessing_maps_pixels_as_it_says() -> None:
    field = Image(height=1, width=1, channels=3, mean=(0.1,) * 3, std=(0.3,) * 3)
    white = np.full((1, 1, 1, 3), 255, np.uint8)
    wanted = {
        "pixels / 255 without mean and std": [1, 1, 1],
        "raw pixels 0 to 255": [255, 255, 255],
        "mean 0.5, std 0.5": [1, 1, 1],
        "ImageNet's mean and std": [
            (1 - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
        ],
    }
    assert list(field.alternatives()) == list(wanted)
    for name, want in wanted.items():
        np.testing.assert_allclose(field.alternatives()[name].apply(white).ravel(), want, rtol=1e-5)
    grey = Image(height=1, width=1, channels=1, mean=(0.1,), std=(0.3,))
    assert "ImageNet's mean and std" not in grey.alternatives()


@pytest.mark.parametrize("shape", [(3, 5, 7, 3), (2, 4, 4, 1), (0, 4, 4, 3), (5, 300, 300, 3)])
def test_normalising_is_the_arithmetic_of_one_pixel(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    channels = shape[-1]
    field = Image(
        height=shape[1],
        width=shape[2],
        channels=channels,
        mean=(0.485, 0.456, 0.406)[:channels],
        std=(0.229, 0.224, 0.225)[:channels],
    )
    scale, shift = field.scale_and_shift()
    want = pixels * scale + shift
    assert want.dtype == np.float32
    np.testing.assert_array_equal(field.apply(pixels), want.transpose(0, 3, 1, 2), strict=True)
