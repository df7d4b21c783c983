"""Where a view moves the pixels of a sample: the same for an image and for its map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple
from typing import TypeVar

import numpy as np

from edgekd.learn.view import AFFINE
from edgekd.learn.view import CROP_X
from edgekd.learn.view import CROP_Y
from edgekd.learn.view import FLIP
from edgekd.learn.view import RESIZED_CROP
from edgekd.learn.view import draw_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.view_settings import Affine
    from edgekd.learn.view_settings import RandomResizedCrop
    from edgekd.learn.view_settings import Views

    Places = NDArray[np.float64]

TRIES = 10
"""How often a part that does not fit is drawn anew."""
Pixel = TypeVar("Pixel", np.uint8, np.int64)


def draw_shifts(
    views: Views, sides: tuple[int, ...], seed: int, indices: NDArray[np.int64], view: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """How far each image of such sides is read from below and from the right of its corner, [B] pixels, and whether it is mirrored."""
    down, right = (
        ((draw_numbers(seed, indices, view, which) * (2 * views.crop + 1)).astype(np.int64))
        - views.crop
        for which in (CROP_Y, CROP_X)
    )
    mirrored = np.zeros(len(indices), bool)
    if views.flip:
        mirrored = draw_numbers(seed, indices, view, FLIP) < 0.5
    # Beyond its own side an image is all padding, however far it moves.
    return down.clip(-sides[0], sides[0]), right.clip(-sides[1], sides[1]), mirrored


def shift_pixels(
    images: NDArray[Pixel],
    views: Views,
    seed: int,
    indices: NDArray[np.int64],
    view: int,
    padding: int = 0,
) -> NDArray[Pixel]:
    """Pad-and-crop and flip of [B, H, W, C], by copies of rectangles alone; what comes in at the edges is `padding`."""
    if not views.crop and not views.flip:
        return images
    count, height, width, channels = images.shape
    down, right = min(views.crop, height), min(views.crop, width)
    top, left, mirrored = draw_shifts(views, (height, width), seed, indices, view)
    top, left = top + down, left + right
    tall, wide = height + 2 * down, width + 2 * right
    padded = np.full((count, tall, wide, channels), padding, images.dtype)
    padded[:, down : down + height, right : right + width] = images
    moved = np.empty(images.shape, images.dtype)
    # Pixels are copied whole: a mirrored row would else be copied channel by channel.
    pixel: Any = images.dtype if channels == 1 else f"V{channels * images.itemsize}"
    source, goal = (array.view(pixel)[..., 0] for array in (padded, moved))
    windows = np.lib.stride_tricks.sliding_window_view(source, (height, width), axis=(1, 2))
    for which, step in ((~mirrored, 1), (mirrored, -1)):
        rows = np.flatnonzero(which)
        goal[rows] = windows[rows, top[rows], left[rows]][:, :, ::step]
    return moved


class Warps(NamedTuple):
    """Rotation, zoom and shift about the middle of images [H, W]; a place (y, x) is read at
    (cos y + sin x, cos x - sin y), from the middle."""

    cos: Places
    """[B], of the angle, times the zoom."""
    sin: Places
    """[B]."""
    y: Places
    """[B, H], rows from the middle."""
    x: Places
    """[B, W], columns from the middle."""
    middle: tuple[float, float]


def draw_warps(
    sides: tuple[int, ...], affine: Affine, seed: int, indices: NDArray[np.int64], view: int
) -> Warps:
    """Those of a view."""
    height, width = sides
    u = [2 * draw_numbers(seed, indices, view, AFFINE + k) - 1 for k in range(4)]
    angle = np.deg2rad(affine.degrees) * u[0]
    zoom = 1 / (1 + affine.scale * u[1])
    down, right = affine.translate * height * u[2], affine.translate * width * u[3]
    y0, x0 = (height - 1) / 2, (width - 1) / 2
    return Warps(
        zoom * np.cos(angle),
        zoom * np.sin(angle),
        np.arange(height) - y0 - down[:, None],
        np.arange(width) - x0 - right[:, None],
        (y0, x0),
    )


def warp_places(
    sides: tuple[int, ...], affine: Affine, seed: int, indices: NDArray[np.int64], view: int
) -> Iterator[tuple[Places, Places]]:
    """Of each sample the rows and columns [H, W] at which rotation, zoom and shift about the middle read it; some lie
    beyond its edges."""
    *drawn, (y0, x0) = draw_warps(sides, affine, seed, indices, view)
    for cos, sin, rows, columns in zip(*drawn, strict=True):
        y, x = rows[:, None], columns[None, :]
        yield cos * y + sin * x + y0, cos * x - sin * y + x0


def draw_crops(
    sides: tuple[int, ...],
    words: RandomResizedCrop,
    seed: int,
    indices: NDArray[np.int64],
    view: int,
) -> tuple[Places, Places]:
    """Of each sample the rows [B, H] and columns [B, W] at which a part of it is read that is scaled to its size."""
    height, width = sides
    parts = np.array(draw_parts(sides, words, seed, indices, view), np.float64).reshape(-1, 4)
    top, left, tall, wide = (each[:, None] for each in parts.T)
    y = ((np.arange(height) + 0.5) * tall / height - 0.5).clip(0, tall - 1) + top
    x = ((np.arange(width) + 0.5) * wide / width - 0.5).clip(0, wide - 1) + left
    return y, x


def crop_places(
    sides: tuple[int, ...],
    words: RandomResizedCrop,
    seed: int,
    indices: NDArray[np.int64],
    view: int,
) -> Iterator[tuple[Places, Places]]:
    """Of each sample the rows and columns [H, W] at which a part of it is read that is scaled to its size."""
    for y, x in zip(*draw_crops(sides, words, seed, indices, view), strict=True):
        yield tuple(np.broadcast_arrays(y[:, None], x[None, :]))  # type: ignore[misc]


def draw_parts(
    sides: tuple[int, ...],
    words: RandomResizedCrop,
    seed: int,
    indices: NDArray[np.int64],
    view: int,
) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width in pixels of a random part of each sample, all of the same height and width."""
    return choose_parts(sides, words, draw_part_numbers(seed, indices, view))


def draw_part_numbers(seed: int, indices: NDArray[np.int64], view: int) -> Places:
    """The random numbers [K, B] from which the part of each sample is chosen."""
    which = range(RESIZED_CROP, RESIZED_CROP + 2 * TRIES + 2)
    return np.stack([draw_numbers(seed, indices, view, number) for number in which])


def choose_parts(
    sides: tuple[int, ...], words: RandomResizedCrop, numbers: Places
) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width in pixels of a part of each sample, from its numbers [K, B].

    As torchvision's ``RandomResizedCrop.get_params``: the area is uniform, the ratio of width to height uniform in its
    logarithm; what does not fit is drawn anew, after `TRIES` it is the largest part in the middle of a ratio allowed.
    """
    height, width = sides
    low, high = np.log(words.ratio)
    found = np.full((numbers.shape[1], 2), -1, np.int64)
    for u, v in zip(numbers[: 2 * TRIES : 2], numbers[1 : 2 * TRIES : 2], strict=True):
        area = height * width * (words.scale[0] + (words.scale[1] - words.scale[0]) * u)
        ratio = np.exp(low + (high - low) * v)
        drawn = np.rint(np.sqrt([area / ratio, area * ratio])).astype(np.int64).T
        fits = ((drawn > 0) & (drawn <= (height, width))).all(1) & (found[:, 0] < 0)
        found[fits] = drawn[fits]
        if (found[:, 0] > 0).all():
            break
    v, h = numbers[2 * TRIES :]
    parts = []
    for (tall, wide), down, right in zip(found.tolist(), v.tolist(), h.tolist(), strict=True):
        if tall < 0:
            tall, wide = _largest_part(height, width, *words.ratio)
            parts.append(((height - tall) // 2, (width - wide) // 2, tall, wide))
            continue
        top, left = int(down * (height - tall + 1)), int(right * (width - wide + 1))
        parts.append((top, left, tall, wide))
    return parts


def _largest_part(height: int, width: int, least: float, most: float) -> tuple[int, int]:
    """Height and width of the largest part whose ratio of width to height is allowed."""
    if width / height < least:
        return max(1, min(height, round(width / least))), width
    if width / height > most:
        return height, max(1, min(width, round(height * most)))
    return height, width
