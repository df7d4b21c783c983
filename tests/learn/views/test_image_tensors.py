"""What an accelerator does of a view: the same bits, on the device, and no wait for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from edgekd.fields.image import Image
from edgekd.learn import view
from edgekd.learn.data.loader import Samples
from edgekd.learn.view_settings import Affine
from edgekd.learn.view_settings import ColorJitter
from edgekd.learn.view_settings import RandAugment
from edgekd.learn.view_settings import RandomResizedCrop
from edgekd.learn.view_settings import Views
from edgekd.learn.views import image as augment
from edgekd.learn.views import image_tensors
from edgekd.learn.views.image_tensors import PendingImages
from tests import data_example
from tests.learn.training.test_monitor import CountReads
from tests.learn.views.test_image import PHOTO_VIEWS
from tests.learn.views.test_image import photos

SIDES = ((3, 33, 48), (1, 5, 4))
CPU = torch.device("cpu")
PART, TURNED = RandomResizedCrop(), Affine(degrees=15, translate=0.1, scale=0.2)
MOVED = {
    "nothing": Views(),
    "mirrored": Views(flip=True),
    "far": Views(flip=True, crop=40),
    "part": Views(flip=True, crop=2, random_resized_crop=PART),
    "turned": Views(flip=True, random_resized_crop=PART, affine=TURNED, erase=0.7),
    "mixup": Views(flip=True, erase=0.5, mixup=0.4),
    "cutmix": Views(crop=2, affine=TURNED, cutmix=1.0),
}
CHANGED = {
    "colour": Views(flip=True, color=ColorJitter(brightness=0.3, contrast=0.2, hue=0.1)),
    "augmented": Views(flip=True, rand_augment=RandAugment(), affine=TURNED, mixup=0.4),
}


def make(sides: tuple[int, int, int]) -> tuple[Image, np.ndarray[Any, Any]]:
    channels, height, width = sides
    means, stds = (0.4, 0.5, 0.45)[:channels], (0.2, 0.3, 0.23)[:channels]
    field = Image(height=height, width=width, channels=channels, mean=means, std=stds)
    random = np.random.default_rng(0)
    return field, random.integers(0, 256, (20, height, width, channels), dtype=np.uint8)


def of_view(words: Views) -> view.View:
    return view.View(words, 5, np.array([7, 3, 19, 0, 12, 4, 3]), 3, 20)


@pytest.mark.parametrize("sides", SIDES, ids=["colour", "grey"])
@pytest.mark.parametrize("words", (MOVED | CHANGED).values(), ids=MOVED | CHANGED)
def test_it_ends_in_the_bits_that_the_host_makes(
    sides: tuple[int, int, int], words: Views, monkeypatch: pytest.MonkeyPatch
) -> None:
    field, rows = make(sides)
    want = augment.apply_view(field, rows, of_view(words))
    for at_once in (2**22, 3 * rows[0, ..., 0].size):  # in one piece, in three
        monkeypatch.setattr(image_tensors, "PIXELS_AT_ONCE", at_once)
        made = image_tensors.begin_view(field, rows, of_view(words)).finish(CPU)
        assert made.dtype == torch.float32
        np.testing.assert_array_equal(made.numpy(), want)
        assert made.permute(0, 2, 3, 1).is_contiguous()


@pytest.mark.parametrize("words", MOVED.values(), ids=MOVED)
def test_a_batch_without_a_sample_has_none(words: Views) -> None:
    """As a private step may draw it."""
    field, rows = make(SIDES[0])
    nothing = of_view(words)._replace(indices=np.array([], np.int64))
    made = image_tensors.begin_view(field, rows, nothing).finish(CPU)
    assert made.shape == augment.apply_view(field, rows, nothing).shape == (0, 3, 33, 48)


@pytest.mark.parametrize("words", PHOTO_VIEWS.values(), ids=PHOTO_VIEWS)
def test_images_in_files_end_in_the_same_bits(words: Views, tmp_path: Path) -> None:
    data, indices = photos(words, tmp_path), np.array([15, 3, 0])
    (pending,) = data.batch(indices, 5, is_pending=True).inputs
    (want,) = data.batch(indices, 5).inputs
    np.testing.assert_array_equal(pending.finish(CPU).numpy(), want)


@pytest.mark.parametrize("words", MOVED.values(), ids=MOVED)
def test_what_is_sent_is_a_byte_a_value_and_some_numbers_a_line(words: Views) -> None:
    field, rows = make(SIDES[0])
    begun, sent = image_tensors.begin_view(field, rows, of_view(words)), []
    tree_map_only(Tensor, lambda each: sent.append(each), begun)
    pixels = 7 * rows[0].size * (2 if words.mixup or words.cutmix else 1)
    assert sum(each.nbytes for each in sent if each.ndim == 4) == pixels
    assert sum(each.nbytes for each in sent if each.ndim < 4) < pixels / 2


@pytest.mark.parametrize("words", (MOVED | CHANGED).values(), ids=MOVED | CHANGED)
def test_all_of_it_runs_on_the_device_and_nobody_waits_for_it(words: Views) -> None:
    """Tensors on torch's device without values mix with no others, and nothing can be read from them."""
    field, rows = make(SIDES[0])
    begun = image_tensors.begin_view(field, rows, of_view(words))
    with CountReads() as counted:
        made = begun.finish(torch.device("meta"))
    assert made.device.type == "meta" and made.shape == (7, 3, 33, 48)
    assert counted.count == 0


def test_what_is_no_image_is_not_left_to_it() -> None:
    field, rows = make(SIDES[0])
    labels = np.arange(20) % 2
    data: Samples = data_example.samples(
        images=rows, labels=labels, classes=2, image=field, views=Views(flip=True), seed=1
    )
    batch = data.batch(np.arange(4), 0, is_pending=True)
    assert isinstance(batch.inputs[0], PendingImages)
    assert isinstance(batch.targets["labels"], np.ndarray)
