"""Random parts: where they lie, and that scaling one is what Pillow's bilinear filter does."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from edgekd.learn.view_settings import RandomResizedCrop
from edgekd.learn.views import image as augment
from edgekd.learn.views.motion import crop_places
from edgekd.learn.views.motion import draw_parts

SIDES = (40, 56)


def parts(count: int = 4000, sides: tuple[int, int] = SIDES, **words: object) -> np.ndarray:
    settings = RandomResizedCrop.model_validate(words)
    return np.array(draw_parts(sides, settings, 3, np.arange(count), 1))


def test_parts_lie_inside_and_have_the_areas_and_ratios_asked_for() -> None:
    top, left, tall, wide = parts(scale=[0.25, 0.5], ratio=[0.8, 1.25]).T
    assert min(top.min(), left.min()) >= 0
    assert (top + tall <= SIDES[0]).all() and (left + wide <= SIDES[1]).all()
    area = tall * wide / (SIDES[0] * SIDES[1])
    assert area.min() > 0.23 and area.max() < 0.53
    np.testing.assert_allclose(area.mean(), 0.375, atol=0.01)
    ratio = np.log(wide / tall)
    assert abs(ratio.mean()) < 0.01 and np.abs(ratio).max() < np.log(1.25) + 0.06
    room = SIDES[0] - tall
    np.testing.assert_allclose((top[room > 0] / room[room > 0]).mean(), 0.5, atol=0.03)


@pytest.mark.parametrize("sides", [(10, 100), (100, 10)])
def test_where_no_part_fits_it_is_the_largest_in_the_middle(sides: tuple[int, int]) -> None:
    found = {tuple(part) for part in parts(5, sides, scale=[1.0, 1.0], ratio=[0.5, 2.0]).tolist()}
    tall, wide = (10, 20) if sides[0] == 10 else (20, 10)
    assert found == {((sides[0] - tall) // 2, (sides[1] - wide) // 2, tall, wide)}


def test_a_part_is_scaled_as_by_pillow() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (6, *SIDES, 1)).astype(np.float32)
    words, indices = RandomResizedCrop(scale=(0.2, 0.8)), np.arange(6)
    made = augment._sample_images(pixels, crop_places(SIDES, words, 3, indices, 1))
    for number, (top, left, tall, wide) in enumerate(draw_parts(SIDES, words, 3, indices, 1)):
        part = PIL.Image.fromarray(pixels[number, top : top + tall, left : left + wide, 0])
        want = np.asarray(part.resize((SIDES[1], SIDES[0]), PIL.Image.Resampling.BILINEAR))
        np.testing.assert_allclose(made[number, :, :, 0], want, atol=1e-3)


def test_the_smaller_end_comes_first() -> None:
    with pytest.raises(ValueError, match="want the smaller first"):
        RandomResizedCrop(scale=(0.9, 0.2))
