"""Colour jitter beside Pillow's enhancers and colorsys, with the same factors."""

from __future__ import annotations

import colorsys

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import pytest

from edgekd.learn.view_settings import ColorJitter
from edgekd.learn.views import color

FACTORS = np.array([0.3, 0.8, 1.0, 1.7], np.float32)


def pixels(channels: int = 3) -> np.ndarray:
    found = np.random.default_rng(0).integers(0, 256, (4, 6, 5, channels)).astype(np.float32)
    found[:, 0] = found[:, 0, :, :1]  # greys
    return found


@pytest.mark.parametrize(
    ("change", "enhancer"),
    [
        (color.scale_brightness, PIL.ImageEnhance.Brightness),
        (color.scale_contrast, PIL.ImageEnhance.Contrast),
        (color.scale_saturation, PIL.ImageEnhance.Color),
    ],
)
def test_factors_mean_what_they_mean_in_pillow(change: object, enhancer: type) -> None:
    """Pillow counts in whole numbers: grey, its mean and the result are each rounded."""
    images = pixels()
    made = change(images, FACTORS)  # type: ignore[operator]
    for number, factor in enumerate(FACTORS.tolist()):
        picture = PIL.Image.fromarray(images[number].astype(np.uint8))
        want = np.asarray(enhancer(picture).enhance(factor), np.float32)
        np.testing.assert_allclose(made[number], want, atol=2.5)


def test_hue_is_turned_as_by_colorsys() -> None:
    images, turns = pixels(), np.array([0.0, 0.25, -0.4, 0.5], np.float32)
    made = color.turn_hue(images, turns)
    for number, turn in enumerate(turns.tolist()):
        for place in np.ndindex(images.shape[1:3]):
            hue, saturation, value = colorsys.rgb_to_hsv(*(images[number][place] / 255).tolist())
            want = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
            np.testing.assert_allclose(made[number][place] / 255, want, atol=1e-5)


def jittered(images: np.ndarray, **words: float) -> np.ndarray:
    return color.jitter_colors(images, ColorJitter(**words), 3, np.arange(len(images)), 1)


def test_factors_fill_their_range() -> None:
    images = np.full((3000, 1, 1, 1), 100, np.float32)
    found = jittered(images, brightness=0.4).ravel() / 100
    assert 0.6 <= found.min() < 0.61 and 1.39 < found.max() <= 1.4
    np.testing.assert_allclose(found.mean(), 1.0, atol=0.01)
    assert jittered(images, brightness=3.0).min() >= 0


def test_orders_differ_and_what_is_not_asked_for_is_not_done() -> None:
    images = np.tile(pixels()[:1], (200, 1, 1, 1))
    np.testing.assert_array_equal(jittered(images), images)
    grey = pixels(1)
    np.testing.assert_array_equal(jittered(grey, saturation=0.9, hue=0.5), grey)
    made = jittered(images, brightness=0.5, contrast=0.5, saturation=0.5, hue=0.2)
    assert len({each.tobytes() for each in made}) == 200
    assert made.min() >= 0 and made.max() <= 255


def test_two_channels_have_no_colour() -> None:
    with pytest.raises(ValueError, match="got images of 2 channels, want 1 or 3"):
        jittered(pixels(2), hue=0.1)
