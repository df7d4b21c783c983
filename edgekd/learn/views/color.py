"""Colour jitter: brightness, contrast, saturation and hue, as torchvision's ``ColorJitter`` defines them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from edgekd.learn.view import COLOR
from edgekd.learn.view import draw_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.view_settings import ColorJitter

    Images = NDArray[np.float32]
    Factors = NDArray[np.float32]

WHITE = 255.0
GREY = (0.2989, 0.587, 0.114)
"""What red, green and blue add to grey."""
_ORDERS = np.array(list(itertools.permutations(range(4))))
_PURE_HUES = (0.0, 2.0, 4.0)
"""Of red, green and blue, in sixths of the circle."""


def jitter_colors(
    images: Images, words: ColorJitter, seed: int, indices: NDArray[np.int64], view: int
) -> Images:
    """Change the colours of [B, H, W, C], 0 to 255, each image by its own factors, in its own order.

    Args:
        images: of one channel or three; of one, saturation and hue change nothing.
        words: the ranges of the factors.
        seed: of the views.
        indices: [B], into the training split.
        view: its number.

    Raises:
        ValueError: if they have another number of channels.
    """
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"color: got images of {images.shape[-1]} channels, want 1 or 3")
    u = [draw_numbers(seed, indices, view, COLOR + number) for number in range(5)]
    ranges = (words.brightness, words.contrast, words.saturation)
    factors = [
        (low + (1 + each - low) * u[number]).astype(np.float32)
        for number, each in enumerate(ranges)
        for low in [max(0.0, 1 - each)]
    ]
    factors.append((words.hue * (2 * u[3] - 1)).astype(np.float32))
    changes = (scale_brightness, scale_contrast, scale_saturation, turn_hue)
    used = [bool(each) for each in (*ranges, words.hue)]
    order = _ORDERS[(u[4] * len(_ORDERS)).astype(np.int64)]
    changed = np.array(images, np.float32)
    for place, number in itertools.product(range(4), range(4)):
        those = np.flatnonzero(order[:, place] == number)
        if used[number] and len(those):
            changed[those] = changes[number](changed[those], factors[number][those])
    return changed


def scale_brightness(images: Images, factors: Factors) -> Images:
    """`images` [B, H, W, C] times the factors [B], within 0 to 255."""
    return _blend(images, np.float32(0), factors)


def scale_contrast(images: Images, factors: Factors) -> Images:
    """`images` [B, H, W, C] moved away from the mean of their own grey, or towards it."""
    return _blend(images, _grey(images).mean((1, 2, 3), keepdims=True), factors)


def scale_saturation(images: Images, factors: Factors) -> Images:
    """`images` [B, H, W, C] moved away from grey, pixel by pixel, or towards it."""
    return images if images.shape[-1] == 1 else _blend(images, _grey(images), factors)


def turn_hue(images: Images, factors: Factors) -> Images:
    """The hue of `images` [B, H, W, 3] turned by the factors [B], in circles; saturation and value stay."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = (np.ascontiguousarray(images[..., number]) for number in range(3))
    top = np.maximum(np.maximum(red, green), blue)
    spread = top - np.minimum(np.minimum(red, green), blue)
    divisor = np.where(spread == 0, np.float32(1), spread)
    hue: Factors = np.asarray(4 + (red - green) / divisor, np.float32)
    np.copyto(hue, 2 + (blue - red) / divisor, where=top == green)
    np.copyto(hue, (green - blue) / divisor, where=top == red)
    hue += 6 * factors[:, None, None]
    hue -= 6 * np.floor(hue / 6)
    changed = np.empty(images.shape, np.float32)
    for number, pure in enumerate(_PURE_HUES):
        share = np.minimum(np.maximum(_distance(hue, pure) - 1, 0), 1)
        np.subtract(top, spread * share, out=changed[..., number])
    return changed


def _distance(hue: Factors, pure: float) -> Factors:
    """How far a hue is from a pure colour, 0 to 3 sixths of the circle."""
    away = np.abs(hue - np.float32(pure))
    return np.asarray(np.minimum(away, 6 - away))


def _grey(images: Images) -> Images:
    return images if images.shape[-1] == 1 else images @ np.array(GREY, np.float32)[:, None]


def _blend(images: Images, others: Images | np.float32, factors: Factors) -> Images:
    share = factors[:, None, None, None]
    mixed = share * images + (1 - share) * others
    return np.asarray(np.clip(mixed, 0, WHITE), np.float32)
