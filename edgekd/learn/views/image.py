"""Augmentation of images, on whole batches in numpy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import cast

import numpy as np

from edgekd.learn.formats.encoded_images import EncodedImages
from edgekd.learn.formats.image import Part
from edgekd.learn.view import ERASE
from edgekd.learn.view import MIX
from edgekd.learn.view import View
from edgekd.learn.view import draw_numbers
from edgekd.learn.views.color import jitter_colors
from edgekd.learn.views.motion import choose_parts
from edgekd.learn.views.motion import crop_places
from edgekd.learn.views.motion import draw_part_numbers
from edgekd.learn.views.motion import shift_pixels
from edgekd.learn.views.motion import warp_places

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Field
    from edgekd.field import Rows
    from edgekd.fields.image import Image
    from edgekd.learn.view_settings import Affine
    from edgekd.learn.view_settings import RandomResizedCrop
    from edgekd.learn.view_settings import Views

    Images = NDArray[np.float32]
    Places = NDArray[np.float64]


def apply_view(field: Field, rows: Rows, view: View) -> Images:
    """The images [B, C, H, W] of a view, normalised; their memory order is [B, H, W, C].

    Args:
        field: an image.
        rows: of the whole training split, uint8 [N, H, W, C], or `EncodedImages`.
        view: which.
    """
    image, pixels = cast("Image", field), cast("NDArray[np.uint8]", rows)
    images = _make_one(image, pixels, view)
    if view.mixes:
        others = _make_one(image, pixels, view._replace(indices=view.partners()))
        mask = mix_masks(view.words, images.shape[1:3], view.seed, view.indices, view.number)
        images = images * mask + others * (1 - mask)
    return images.transpose(0, 3, 1, 2)


def mix_share(field: Field, view: View) -> NDArray[np.float32]:
    """Return how much of each sample is its own, [B, 1]; the rest is its partner's."""
    image = cast("Image", field)
    sides = image.height, image.width
    mask = mix_masks(view.words, sides, view.seed, view.indices, view.number)
    return mask.mean((1, 2))


def _make_one(image: Image, rows: NDArray[np.uint8], view: View) -> Images:
    words, place = view.words, (view.seed, view.indices, view.number)
    images = image.normalise(change_pixels(read_pixels(rows, view), rows, view))
    if words.affine is not None:
        images = warp_images(images, words.affine, *place)
    if words.erase:
        images = erase_boxes(images, words.erase, *place)
    return images


def read_pixels(rows: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """The pixels [B, H, W, C] of a view's samples; of encoded images the parts that are cut out."""
    part = view.words.random_resized_crop
    if part is not None and isinstance(rows, EncodedImages):
        return _read_parts(rows, part, view)
    return rows[view.indices]


def is_cut_later(rows: NDArray[np.uint8], view: View) -> bool:
    """Whether parts are cut out of the pixels that were read."""
    return view.words.random_resized_crop is not None and not isinstance(rows, EncodedImages)


def change_pixels(
    read: NDArray[np.uint8], rows: NDArray[np.uint8], view: View
) -> NDArray[np.uint8] | Images:
    """What a view does to pixels, 0 to 255."""
    words, place = view.words, (view.seed, view.indices, view.number)
    pixels: NDArray[np.uint8] | Images = shift_pixels(read, words, *place)
    if words.random_resized_crop is not None and is_cut_later(rows, view):
        places = crop_places(pixels.shape[1:3], words.random_resized_crop, *place)
        pixels = _sample_images(pixels.astype(np.float32), places)
    if words.rand_augment is not None:
        from edgekd.learn.views.rand_augment import change_images

        whole = np.rint(pixels).clip(0, 255).astype(np.uint8)
        pixels = change_images(whole, words.rand_augment, *place)
    if words.color is not None:
        pixels = jitter_colors(pixels.astype(np.float32), words.color, *place)
    return pixels


def _read_parts(rows: EncodedImages, words: RandomResizedCrop, view: View) -> NDArray[np.uint8]:
    """A random part of each image, drawn by its own size."""
    numbers = draw_part_numbers(view.seed, view.indices, view.number)

    def find_part(place: int, sides: tuple[int, int]) -> Part:
        return Part(*choose_parts(sides, words, numbers[:, place : place + 1])[0])

    return rows.read_parts(view.indices, find_part)


def warp_images(
    images: Images, affine: Affine, seed: int, indices: NDArray[np.int64], view: int
) -> Images:
    """Rotation, zoom and shift about the middle of [B, H, W, C], bilinear, edges repeated."""
    return _sample_images(images, warp_places(images.shape[1:3], affine, seed, indices, view))


def _sample_images(images: Images, places: Iterable[tuple[Places, Places]]) -> Images:
    """`sample_bilinear` of each of [B, H, W, C] at its own places."""
    moved = np.empty(images.shape, np.float32)
    # Image by image: what is computed for one stays in the processor's cache.
    for number, (y, x) in enumerate(places):
        moved[number] = sample_bilinear(images[number], y, x)
    return moved


def sample_bilinear(image: Images, y: NDArray[np.float64], x: NDArray[np.float64]) -> Images:
    """Bilinear values [H', W', C] of one image [H, W, C] at the places y, x [H', W'], edges repeated."""
    height, width, channels = image.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = np.floor(y), np.floor(x)
    dy, dx = (y - top).astype(np.float32), (x - left).astype(np.float32)
    above_left = (top * width + left).astype(np.intp)
    above_right = above_left + (left < width - 1)
    lower = np.where(top < height - 1, width, 0)
    below_left, below_right = above_left + lower, above_right + lower
    values = np.empty((*y.shape, channels), np.float32)
    for channel in range(channels):
        plane = image[:, :, channel].ravel()
        above = plane.take(above_left) * (1 - dx) + plane.take(above_right) * dx
        below = plane.take(below_left) * (1 - dx) + plane.take(below_right) * dx
        values[:, :, channel] = above * (1 - dy) + below * dy
    return values


def erase_boxes(
    images: Images, probability: float, seed: int, indices: NDArray[np.int64], view: int
) -> Images:
    """The boxes of `draw_erased` set to 0, the mean colour of normalised images."""
    tall, wide = draw_erased(images.shape[1:3], probability, seed, indices, view)
    return np.where((tall[:, :, None] & wide[:, None, :])[..., None], np.float32(0), images)


def draw_erased(
    sides: tuple[int, ...],
    probability: float,
    seed: int,
    indices: NDArray[np.int64],
    view: int,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows [B, H] and columns [B, W] of a box of 2 to 20 % of the area; no rows where nothing is erased.

    Sides as in Random Erasing (Zhong et al. 2020, alg. 1) with aspect ratio 0.3 to 3.3.
    """
    chosen = draw_numbers(seed, indices, view, ERASE) < probability
    area = 0.02 + 0.18 * draw_numbers(seed, indices, view, ERASE + 1)
    aspect = np.exp(np.log(3.3) * (2 * draw_numbers(seed, indices, view, ERASE + 2) - 1))
    tall, wide = _boxes(
        sides,
        np.sqrt(area * aspect),
        np.sqrt(area / aspect),
        draw_numbers(seed, indices, view, ERASE + 3),
        draw_numbers(seed, indices, view, ERASE + 4),
    )
    return tall & chosen[:, None], wide


def _boxes(
    sides: tuple[int, ...],
    tall: NDArray[np.float64],
    wide: NDArray[np.float64],
    v: NDArray[np.float64],
    h: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows [B, H] and columns [B, W] of boxes: heights and widths as fractions, places uniform by v and h."""
    inside = []
    for side, fraction, place in ((sides[0], tall, v), (sides[1], wide, h)):
        length = np.clip(np.round(fraction * side), 0, side)
        start = np.floor(place * (side - length + 1))
        steps = np.arange(side)
        inside.append((steps >= start[:, None]) & (steps < (start + length)[:, None]))
    return inside[0], inside[1]


def mix_masks(
    views: Views, sides: tuple[int, int], seed: int, indices: NDArray[np.int64], view: int
) -> NDArray[np.float32]:
    """Return what remains of the sample at each pixel, [B, H, W, 1]: one number for mixup, 0 or 1 in
    cutmix; its mean is the sample's share of the label."""
    if views.mixup:
        share = draw_shares(views, seed, indices, view)
        mask = np.broadcast_to(share[:, None, None, None], (len(indices), *sides, 1))
        return np.ascontiguousarray(mask, dtype=np.float32)
    tall, wide = draw_pasted(views, sides, seed, indices, view)
    return np.asarray(~(tall[:, :, None] & wide[:, None, :])[..., None], dtype=np.float32)


def draw_shares(
    views: Views, seed: int, indices: NDArray[np.int64], view: int
) -> NDArray[np.float64]:
    """How much of each sample is its own, [B], Beta distributed."""
    from scipy.special import betaincinv

    alpha = views.mixup or views.cutmix
    return np.asarray(betaincinv(alpha, alpha, draw_numbers(seed, indices, view, MIX)))


def draw_pasted(
    views: Views, sides: tuple[int, ...], seed: int, indices: NDArray[np.int64], view: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows [B, H] and columns [B, W] of the box of another sample that cutmix pastes."""
    side = np.sqrt(1 - draw_shares(views, seed, indices, view))
    return _boxes(
        sides,
        side,
        side,
        draw_numbers(seed, indices, view, MIX + 1),
        draw_numbers(seed, indices, view, MIX + 2),
    )
