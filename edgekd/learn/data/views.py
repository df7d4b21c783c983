"""Augmentation as pure functions of (seed, sample index, view number), on whole batches in numpy.

A random number is a hash of (seed, index, view, which number), never a draw from a generator with
a state; so any view of any sample can be made at any time, alone or in any batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.settings import Affine
    from edgekd.learn.settings import Views

    Images = NDArray[np.float32]

FLIP, CROP_Y, CROP_X, AFFINE, ERASE, MIX, PARTNER = 0, 1, 2, 3, 8, 14, 17
"""First number of each operation in a sample's sequence of random numbers."""


def draws(seed: int, indices: NDArray[np.int64], view: int, which: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), one for each index: the `which`-th of (seed, index, view).

    SplitMix64's finalizer (Steele, Lea and Flood 2014, fig. 15) over the four numbers in turn.
    """
    with np.errstate(over="ignore"):
        state: NDArray[np.uint64] = np.full(indices.shape, seed % 2**64, np.uint64)
        for number in (indices.astype(np.uint64), np.uint64(view), np.uint64(which)):
            state = _mixed(state ^ (number * np.uint64(0x9E3779B97F4A7C15)))
    return np.asarray((state >> np.uint64(11)) * 2.0**-53)


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def shifted(
    images: NDArray[np.uint8], views: Views, seed: int, indices: NDArray[np.int64], view: int
) -> NDArray[np.uint8]:
    """Pad-and-crop and flip of [B, H, W, C], by copies of rectangles alone; padding is black."""
    if not views.crop and not views.flip:
        return images
    count, height, width, channels = images.shape
    pad = views.crop
    # Beyond its own side an image is all padding, however far it moves.
    down, right = (
        ((draws(seed, indices, view, which) * (2 * pad + 1)).astype(np.int64) - pad).clip(
            -side, side
        )
        for which, side in ((CROP_Y, height), (CROP_X, width))
    )
    mirrored = np.zeros(count, bool)
    if views.flip:
        mirrored = draws(seed, indices, view, FLIP) < 0.5
    # Pixels are copied whole: a mirrored row would else be copied channel by channel.
    pixel, moved = f"V{channels}", np.zeros(images.shape, np.uint8)
    sources, goals = (array.view(pixel)[..., 0] for array in (np.ascontiguousarray(images), moved))
    for source, goal, y, x, mirror in zip(
        sources, goals, down.tolist(), right.tolist(), mirrored.tolist(), strict=True
    ):
        to = goal[:, ::-1] if mirror else goal
        to[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)] = source[
            max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)
        ]
    return moved


def warped(
    images: Images, affine: Affine, seed: int, indices: NDArray[np.int64], view: int
) -> Images:
    """Rotation, zoom and shift about the middle of [B, H, W, C], bilinear, edges repeated."""
    _, height, width, _ = images.shape
    u = [2 * draws(seed, indices, view, AFFINE + k) - 1 for k in range(4)]
    angle = np.deg2rad(affine.degrees) * u[0]
    zoom = 1 / (1 + affine.scale * u[1])
    down, right = affine.translate * height * u[2], affine.translate * width * u[3]
    y0, x0 = (height - 1) / 2, (width - 1) / 2
    moved = np.empty(images.shape, np.float32)
    # Image by image: what is computed for one stays in the processor's cache.
    for number, (cos, sin) in enumerate(
        zip(zoom * np.cos(angle), zoom * np.sin(angle), strict=True)
    ):
        y = np.arange(height)[:, None] - y0 - down[number]
        x = np.arange(width)[None, :] - x0 - right[number]
        places = cos * y + sin * x + y0, cos * x - sin * y + x0
        moved[number] = sample_bilinear(images[number], *places)
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


def erased(
    images: Images, probability: float, seed: int, indices: NDArray[np.int64], view: int
) -> Images:
    """A box of 2 to 20 % of the area set to 0, the mean colour of normalised images.

    Sides as in Random Erasing (Zhong et al. 2020, alg. 1) with aspect ratio 0.3 to 3.3.
    """
    chosen = draws(seed, indices, view, ERASE) < probability
    area = 0.02 + 0.18 * draws(seed, indices, view, ERASE + 1)
    aspect = np.exp(np.log(3.3) * (2 * draws(seed, indices, view, ERASE + 2) - 1))
    box = _boxes(
        images.shape[1:3],
        np.sqrt(area * aspect),
        np.sqrt(area / aspect),
        draws(seed, indices, view, ERASE + 3),
        draws(seed, indices, view, ERASE + 4),
    )
    return np.where((box & chosen[:, None, None])[..., None], np.float32(0), images)


def _boxes(
    sides: tuple[int, ...],
    tall: NDArray[np.float64],
    wide: NDArray[np.float64],
    v: NDArray[np.float64],
    h: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Masks [B, H, W] of boxes: heights and widths as fractions, places uniform by v and h."""
    inside = []
    for side, fraction, place in ((sides[0], tall, v), (sides[1], wide, h)):
        length = np.clip(np.round(fraction * side), 0, side)
        start = np.floor(place * (side - length + 1))
        steps = np.arange(side)
        inside.append((steps >= start[:, None]) & (steps < (start + length)[:, None]))
    return np.asarray(inside[0][:, :, None] & inside[1][:, None, :])


def partners(total: int, seed: int, indices: NDArray[np.int64], view: int) -> NDArray[np.int64]:
    """For each sample the other sample that is mixed into it; never itself if there are two."""
    step = 1 + (draws(seed, indices, view, PARTNER) * max(total - 1, 1)).astype(np.int64)
    return np.asarray((indices + step) % total)


def mix_masks(
    views: Views, sides: tuple[int, int], seed: int, indices: NDArray[np.int64], view: int
) -> NDArray[np.float32]:
    """What remains of the sample at each pixel, [B, H, W, 1]: one number for mixup, 0 or 1 in
    cutmix; its mean is the sample's share of the label."""
    from scipy.special import betaincinv

    alpha = views.mixup or views.cutmix
    share = betaincinv(alpha, alpha, draws(seed, indices, view, MIX))
    if views.mixup:
        mask = np.broadcast_to(share[:, None, None, None], (len(indices), *sides, 1))
        return np.ascontiguousarray(mask, dtype=np.float32)
    side = np.sqrt(1 - share)
    box = _boxes(
        sides,
        side,
        side,
        draws(seed, indices, view, MIX + 1),
        draws(seed, indices, view, MIX + 2),
    )
    return np.asarray(~box[..., None], dtype=np.float32)
