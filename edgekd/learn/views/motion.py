"""Where a view moves the pixels of a sample: the same for an image and for its map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeVar

import numpy as np

from edgekd.learn.view import AFFINE
from edgekd.learn.view import CROP_X
from edgekd.learn.view import CROP_Y
from edgekd.learn.view import FLIP
from edgekd.learn.view import draw_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.view_settings import Affine
    from edgekd.learn.view_settings import Views

    Places = NDArray[np.float64]

Pixel = TypeVar("Pixel", np.uint8, np.int64)


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
    pad = views.crop
    # Beyond its own side an image is all padding, however far it moves.
    down, right = (
        ((draw_numbers(seed, indices, view, which) * (2 * pad + 1)).astype(np.int64) - pad).clip(
            -side, side
        )
        for which, side in ((CROP_Y, height), (CROP_X, width))
    )
    mirrored = np.zeros(count, bool)
    if views.flip:
        mirrored = draw_numbers(seed, indices, view, FLIP) < 0.5
    # Pixels are copied whole: a mirrored row would else be copied channel by channel.
    pixel: Any = f"V{channels * images.itemsize}"
    moved = np.full(images.shape, padding, images.dtype)
    sources, goals = (array.view(pixel)[..., 0] for array in (np.ascontiguousarray(images), moved))
    for source, goal, y, x, mirror in zip(
        sources, goals, down.tolist(), right.tolist(), mirrored.tolist(), strict=True
    ):
        to = goal[:, ::-1] if mirror else goal
        to[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)] = source[
            max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)
        ]
    return moved


def warp_places(
    sides: tuple[int, ...], affine: Affine, seed: int, indices: NDArray[np.int64], view: int
) -> Iterator[tuple[Places, Places]]:
    """Of each sample the rows and columns [H, W] at which rotation, zoom and shift about the middle read it; some lie
    beyond its edges."""
    height, width = sides
    u = [2 * draw_numbers(seed, indices, view, AFFINE + k) - 1 for k in range(4)]
    angle = np.deg2rad(affine.degrees) * u[0]
    zoom = 1 / (1 + affine.scale * u[1])
    down, right = affine.translate * height * u[2], affine.translate * width * u[3]
    y0, x0 = (height - 1) / 2, (width - 1) / 2
    for number, (cos, sin) in enumerate(
        zip(zoom * np.cos(angle), zoom * np.sin(angle), strict=True)
    ):
        y = np.arange(height)[:, None] - y0 - down[number]
        x = np.arange(width)[None, :] - x0 - right[number]
        yield cos * y + sin * x + y0, cos * x - sin * y + x0
