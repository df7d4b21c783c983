"""Views are pure functions of (seed, index, view): any batch, any order, any process."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING
from typing import cast

import numpy as np
import pytest
from PIL import Image as pillow

from edgekd.fields.image import Image
from edgekd.learn import view
from edgekd.learn.data.loader import Batch
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import epoch_batches
from edgekd.learn.data.loader import prefetch
from edgekd.learn.data.loader import shuffle_samples
from edgekd.learn.formats.encoded_images import EncodedImages
from edgekd.learn.formats.encoded_images import count_threads
from edgekd.learn.formats.encoded_images import whole_files
from edgekd.learn.formats.image import Shape
from edgekd.learn.view_settings import Affine
from edgekd.learn.view_settings import ColorJitter
from edgekd.learn.view_settings import RandAugment
from edgekd.learn.view_settings import RandomResizedCrop
from edgekd.learn.view_settings import Views
from edgekd.learn.views import image as augment
from edgekd.learn.views import motion
from tests import data_example
from tests import photo_example
from tests.learn import batch_example

if TYPE_CHECKING:
    from edgekd.field import Rows

ALL_ON = {
    "affine+erase": Views(
        flip=True, crop=2, affine=Affine(degrees=15, translate=0.1, scale=0.2), erase=0.7
    ),
    "mixup": Views(flip=True, crop=1, mixup=0.4),
    "cutmix": Views(crop=1, cutmix=1.0),
    "random part": Views(random_resized_crop=RandomResizedCrop(scale=(0.2, 0.9))),
}


def samples(views: Views, seed: int = 3) -> Samples:
    random = np.random.default_rng(0)
    return data_example.samples(
        images=random.integers(0, 256, (40, 9, 7, 2), dtype=np.uint8),
        labels=random.integers(0, 4, 40),
        classes=4,
        image=Image(height=9, width=7, channels=2, mean=(0.4, 0.5), std=(0.2, 0.3)),
        views=views,
        seed=seed,
    )


@pytest.mark.parametrize("views", ALL_ON.values(), ids=ALL_ON)
def test_a_view_does_not_depend_on_its_batch(views: Views) -> None:
    data = samples(views)
    whole = data.batch(np.arange(40), 5)
    for indices in (np.array([7]), np.array([39, 7, 0])):
        part = data.batch(indices, 5)
        np.testing.assert_array_equal(
            batch_example.images(part), batch_example.images(whole)[indices]
        )
        np.testing.assert_array_equal(part.targets["labels"], whole.targets["labels"][indices])


@pytest.mark.parametrize("views", ALL_ON.values(), ids=ALL_ON)
def test_another_view_or_seed_is_another_picture(views: Views) -> None:
    here = batch_example.images(samples(views).batch(np.arange(40), 5))
    assert not np.array_equal(here, batch_example.images(samples(views).batch(np.arange(40), 6)))
    assert not np.array_equal(
        here, batch_example.images(samples(views, seed=4).batch(np.arange(40), 5))
    )


def photos(views: Views, tmp_path: Path) -> Samples:
    """Encoded ones of several sizes."""
    paths = photo_example.fill_folder(tmp_path / "photos", 8)
    rows = {
        "images": EncodedImages(whole_files(paths), Shape(12, 3, 14)),
        "labels": np.arange(16) % 2,
    }
    field = Image(height=12, width=12, channels=3, mean=(0.4,) * 3, std=(0.2,) * 3, resize=14)
    data = data_example.labelled(field, data_example.names(2))
    return Samples(dataset=data, rows=cast("dict[str, Rows]", rows), views=views, seed=3)


PHOTO_VIEWS = {
    "part": Views(
        flip=True,
        random_resized_crop=RandomResizedCrop(),
        rand_augment=RandAugment(),
        color=ColorJitter(hue=0.1),
    ),
    "middle": Views(flip=True, crop=2),
    "mixed": Views(random_resized_crop=RandomResizedCrop(), cutmix=1.0),
}


@pytest.mark.parametrize("views", PHOTO_VIEWS.values(), ids=PHOTO_VIEWS)
def test_a_view_of_encoded_images_is_the_same_in_any_batch_and_any_thread(
    views: Views, tmp_path: Path
) -> None:
    data = photos(views, tmp_path)
    whole = batch_example.images(data.batch(np.arange(16), 5))
    part = batch_example.images(data.batch(np.array([15, 3, 0]), 5))
    np.testing.assert_array_equal(part, whole[[15, 3, 0]])
    assert not np.array_equal(whole, batch_example.images(data.batch(np.arange(16), 6)))
    assert data.needed_workers == count_threads() and samples(views).needed_workers == 0
    several, none = (
        list(epoch_batches(data, epoch=1, batch_size=4, seed=9, start=0, workers=workers))
        for workers in (0, 3)
    )
    for one, other in zip(several, none, strict=True):
        np.testing.assert_array_equal(batch_example.images(one), batch_example.images(other))


def test_the_part_of_an_encoded_image_is_drawn_by_its_own_size(tmp_path: Path) -> None:
    crop = RandomResizedCrop(scale=(0.3, 0.6))
    data = photos(Views(random_resized_crop=crop), tmp_path)
    indices = np.arange(16)
    got = batch_example.images(data.batch(indices, 2))
    for number, path in enumerate(sorted((tmp_path / "photos").glob("*/*.jpg"))):
        photo = pillow.open(path)
        ((top, left, tall, wide),) = motion.draw_parts(
            (photo.height, photo.width), crop, 3, indices[number : number + 1], 2
        )
        box = (left, top, left + wide, top + tall)
        want = np.asarray(photo.resize((12, 12), pillow.Resampling.BILINEAR, box=box))
        pixels = (got[number] * 0.2 + 0.4) * 255
        # read at half its size where that is enough: another way to the same
        assert np.abs(pixels - want).mean() < 5, path
    plain = batch_example.images(photos(Views(), tmp_path / "again").batch(indices, 2))
    rows = photos(Views(), tmp_path / "more").rows["images"]
    want_all = (np.asarray(rows[indices]) / 255 - 0.4) / 0.2
    np.testing.assert_allclose(plain, want_all, atol=1e-5)


def test_draws_are_uniform_and_independent() -> None:
    numbers = np.stack([view.draw_numbers(1, np.arange(20_000), 2, k) for k in range(3)])
    assert 0 <= numbers.min() <= numbers.max() < 1
    np.testing.assert_allclose(numbers.mean(1), 0.5, atol=0.01)
    np.testing.assert_allclose(numbers.var(1), 1 / 12, atol=0.003)
    assert np.abs(np.corrcoef(numbers) - np.eye(3)).max() < 0.03
    shifted = np.corrcoef(numbers[0][1:], numbers[0][:-1])[0, 1]
    assert abs(shifted) < 0.03


def test_crop_and_flip_move_whole_pixels() -> None:
    data = samples(Views(flip=True, crop=2))
    indices = np.arange(40)
    made = motion.shift_pixels(data.rows["images"], data.views, 3, indices, 1)
    padded = np.pad(data.rows["images"], ((0, 0), (2, 2), (2, 2), (0, 0)))
    moved = set()
    for i in indices:
        found = [
            (y, x, flip)
            for y in range(5)
            for x in range(5)
            for flip in (1, -1)
            if np.array_equal(padded[i, y : y + 9, x : x + 7][:, ::flip], made[i])
        ]
        assert found
        moved.add(found[0])
    assert len(moved) > 15


def gathered_shift(images: np.ndarray, views: Views, indices: np.ndarray) -> np.ndarray:
    """`shifted` as one gather over a padded batch: slow, and what stored knowledge was made with."""
    count, height, width, _ = images.shape
    pad = views.crop
    images = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    top = (view.draw_numbers(3, indices, 1, view.CROP_Y) * (2 * pad + 1)).astype(np.int64)
    left = (view.draw_numbers(3, indices, 1, view.CROP_X) * (2 * pad + 1)).astype(np.int64)
    columns = np.broadcast_to(np.arange(width), (count, width))
    if views.flip:
        mirrored = view.draw_numbers(3, indices, 1, view.FLIP) < 0.5
        columns = np.where(mirrored[:, None], columns[:, ::-1], columns)
    rows, columns = top[:, None] + np.arange(height), left[:, None] + columns
    return images[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("crop", [0, 1, 4, 30])
@pytest.mark.parametrize("shape", [(40, 9, 7, 2), (40, 5, 12, 3), (1, 1, 1, 1), (40, 6, 6, 1)])
def test_shifts_are_the_bytes_of_one_gather(shape: tuple[int, ...], crop: int, flip: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    given, indices = images.copy(), np.arange(len(images))
    views = Views(flip=flip, crop=crop)
    for source in (images, images.transpose(0, 2, 1, 3)[:, :, ::-1]):
        made = motion.shift_pixels(source, views, 3, indices, 1)
        assert made.tobytes() == gathered_shift(source, views, indices).tobytes()
    np.testing.assert_array_equal(images, given)


def gathered_warp(images: np.ndarray, affine: Affine, indices: np.ndarray) -> np.ndarray:
    """`warp_images` as four gathers over the whole batch: slow, and what stored knowledge was made with."""
    count, height, width, _ = images.shape
    u = [2 * view.draw_numbers(3, indices, 1, view.AFFINE + k) - 1 for k in range(4)]
    angle, zoom = np.deg2rad(affine.degrees) * u[0], 1 / (1 + affine.scale * u[1])
    y0, x0 = (height - 1) / 2, (width - 1) / 2
    y = np.arange(height)[None, :, None] - y0 - (affine.translate * height * u[2])[:, None, None]
    x = np.arange(width)[None, None, :] - x0 - (affine.translate * width * u[3])[:, None, None]
    cos, sin = (zoom * np.cos(angle))[:, None, None], (zoom * np.sin(angle))[:, None, None]
    y, x = cos * y + sin * x + y0, cos * x - sin * y + x0
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    dy, dx = (y - top)[..., None].astype(np.float32), (x - left)[..., None].astype(np.float32)
    b = np.arange(count)[:, None, None]
    above = images[b, top, left] * (1 - dx) + images[b, top, right] * dx
    below = images[b, bottom, left] * (1 - dx) + images[b, bottom, right] * dx
    return above * (1 - dy) + below * dy


@pytest.mark.parametrize(
    "affine",
    [
        Affine(),
        Affine(degrees=15, translate=0.1, scale=0.2),
        Affine(degrees=180, translate=0.9, scale=0.9),
    ],
)
@pytest.mark.parametrize("shape", [(40, 9, 7, 2), (40, 5, 12, 3), (1, 1, 1, 1), (40, 6, 6, 1)])
def test_warps_are_the_bytes_of_four_gathers(shape: tuple[int, ...], affine: Affine) -> None:
    images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    images[0, 0, 0] = -0.0
    made = augment.warp_images(images, affine, 3, np.arange(len(images)), 1)
    assert made.dtype == np.float32
    assert made.tobytes() == gathered_warp(images, affine, np.arange(len(images))).tobytes()


def test_no_augmentation_is_preprocessing_alone() -> None:
    data = samples(Views())
    want = data.image.apply(data.rows["images"]).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(batch_example.images(data.batch(np.arange(40), 0)), want, rtol=1e-6)


def test_affine_by_hand() -> None:
    ramp = np.arange(25, dtype=np.float32).reshape(1, 5, 5, 1)
    still = augment.warp_images(ramp, Affine(), 0, np.array([0]), 0)
    np.testing.assert_allclose(still, ramp, atol=1e-6)
    turned = augment.sample_bilinear(ramp[0], *np.mgrid[0:5, 4:-1:-1].astype(float))
    np.testing.assert_allclose(turned[:, :, 0], ramp[0, :, ::-1, 0])
    between = augment.sample_bilinear(ramp[0], np.array([[0.5]]), np.array([[1.25]]))
    assert between.item() == pytest.approx(0.5 * (0 + 5) + 1.25)


def test_erase_paints_one_box_of_the_asked_area() -> None:
    ones = np.ones((500, 20, 20, 1), np.float32)
    made = augment.erase_boxes(ones, 0.5, 0, np.arange(500), 0)
    gone = (made == 0).mean((1, 2, 3))
    assert 0.4 < (gone > 0).mean() < 0.6
    assert gone.max() <= 0.25
    struck = made[gone > 0][0, :, :, 0] == 0
    rows, columns = struck.any(1), struck.any(0)
    assert struck.sum() == rows.sum() * columns.sum()


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_labels_are_mixed_as_the_pixels_are(name: str) -> None:
    data = samples(ALL_ON[name].model_copy(update={"flip": False, "crop": 0}))
    batch = data.batch(np.arange(40), 2)
    assert batch.targets["labels"].shape == (40, 4)
    np.testing.assert_allclose(batch.targets["labels"].sum(1), 1, rtol=1e-6)
    partners = view.draw_partners(40, data.seed, np.arange(40), 2)
    assert (partners != np.arange(40)).all()
    plain = batch_example.images(samples(Views()).batch(np.arange(40), 0))
    mask = augment.mix_masks(data.views, (9, 7), data.seed, np.arange(40), 2)
    np.testing.assert_allclose(
        batch_example.images(batch),
        plain * mask + plain[partners] * (1 - mask),
        rtol=1e-5,
        atol=1e-6,
    )
    share = mask.mean((1, 2))[:, 0]
    for i in range(40):
        want = np.zeros(4)
        want[data.labels[i]] += share[i]
        want[data.labels[partners[i]]] += 1 - share[i]
        np.testing.assert_allclose(batch.targets["labels"][i], want, atol=1e-6)


def test_mixup_s_share_follows_its_beta_distribution() -> None:
    mask = augment.mix_masks(Views(mixup=0.4), (1, 1), 0, np.arange(20_000), 0).ravel()
    assert mask.mean() == pytest.approx(0.5, abs=0.01)
    assert mask.var() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.005)


def test_an_epoch_shows_every_sample_once_in_an_order_of_its_own() -> None:
    data = samples(Views(count=3, crop=1))
    seen = [np.concatenate([b.indices for b in batches(data, epoch)]) for epoch in range(4)]
    for indices in seen:
        assert sorted(indices) == list(range(40))
    assert not np.array_equal(seen[0], seen[1])
    assert {b.view for b in batches(data, 4)} == {1}
    np.testing.assert_array_equal(shuffle_samples(40, 9, 2), seen[2])


def batches(data: Samples, epoch: int, start: int = 0, workers: int = 0) -> list:
    return list(
        epoch_batches(data, epoch=epoch, batch_size=8, seed=9, start=start, workers=workers)
    )


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_neither_workers_nor_the_starting_point_change_a_batch(workers: int) -> None:
    data = samples(ALL_ON["affine+erase"])
    want = batches(data, 1)
    for start in (0, 3):
        for one, other in zip(want[start:], batches(data, 1, start, workers), strict=True):
            np.testing.assert_array_equal(batch_example.images(one), batch_example.images(other))
            np.testing.assert_array_equal(one.indices, other.indices)


def test_batches_do_not_pile_up() -> None:
    data = samples(Views())
    made: list[int] = []

    def job(number: int) -> Batch:
        made.append(number)
        return data.batch(np.array([number]), 0)

    jobs = [functools.partial(job, number) for number in range(20)]
    for place, batch in enumerate(prefetch(jobs, 2)):
        assert batch.indices.tolist() == [place]
        assert len(made) <= place + 4
