from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from edgekd.learn.view_settings import RandAugment
from edgekd.learn.view_settings import Views
from edgekd.learn.views import find_misfit
from edgekd.learn.views.rand_augment import OPERATIONS
from edgekd.learn.views.rand_augment import change_images
from tests import photo_example

PHOTO = photo_example.make_photo(0, (40, 30))
INDICES = np.arange(40)


def pixels(channels: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (40, 10, 12, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_it_depends_on_seed_sample_and_view_alone(channels: int) -> None:
    images, words = pixels(channels), RandAugment(operations=3, magnitude=15)
    whole = change_images(images, words, 7, INDICES, 2)
    assert whole.shape == images.shape and whole.dtype == np.uint8
    part = change_images(images[[30, 4]], words, 7, np.array([30, 4]), 2)
    assert np.array_equal(part, whole[[30, 4]])
    for seed, view in ((8, 2), (7, 3)):
        assert not np.array_equal(whole, change_images(images, words, seed, INDICES, view))
    with pytest.raises(ValueError, match="2 channels, want 1 or 3"):
        change_images(images.repeat(2, 3)[..., :2], words, 7, INDICES, 2)


STRENGTHLESS = {"autocontrast", "equalize"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_without_strength_nothing_changes_and_with_it_something_does(name: str) -> None:
    operation = OPERATIONS[name]
    if name not in STRENGTHLESS:
        assert np.array_equal(np.asarray(operation(PHOTO, 0.0)), np.asarray(PHOTO))
    changed = [np.asarray(operation(PHOTO, strength)) for strength in (1.0, -1.0)]
    assert (
        all(not np.array_equal(each, np.asarray(PHOTO)) for each in changed) or name == "identity"
    )
    grey = operation(PHOTO.convert("L"), 0.5)
    assert grey.mode == "L" and grey.size == PHOTO.size


def test_the_largest_strength_is_that_of_the_paper_as_torchvision_has_it() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16).repeat(4, 0).repeat(4, 1))
    wide = np.asarray(ramp)
    shifted = np.asarray(OPERATIONS["shift x"](ramp, 1.0))
    by = int(64 * 150 / 331)
    assert np.array_equal(shifted[:, :-by], wide[:, by:]) and not shifted[:, -by:].any()
    assert set(np.unique(OPERATIONS["posterize"](ramp, -1.0))) == set(range(0, 256, 16))
    assert np.array_equal(OPERATIONS["solarize"](ramp, 1.0), 255 - wide)
    brighter = np.asarray(OPERATIONS["brightness"](ramp, 1.0)).astype(int)
    assert np.abs(brighter - (1.9 * wide).clip(0, 255)).max() <= 1


def test_settings_have_limits_and_places_cannot_be_left_behind() -> None:
    words = Views.model_validate({"rand_augment": {}})
    assert words.rand_augment == RandAugment(operations=2, magnitude=9.0)
    assert "rand_augment" not in Views().model_dump()
    for bad in ({"operations": 0}, {"magnitude": 31}, {"magnitude": -1}):
        with pytest.raises(ValidationError):
            RandAugment.model_validate(bad)
    assert (
        find_misfit(words, ["image"]) is None and find_misfit(words, ["image"], ["class"]) is None
    )
    misfit = find_misfit(words, ["image"], ["map"])
    assert misfit == ("rand_augment", "got it for targets of kind map, which it would not move")
    assert find_misfit(words, ["tokens"]) is not None
