"""Between normalised images and stored pixels: what a made image may hold, and how it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from edgekd.fields.image import Image


def pixel_range(image: Image) -> tuple[Tensor, Tensor]:
    """Return what black and white become, [C, 1, 1] each."""
    scale, shift = (torch.from_numpy(one) for one in image.scale_and_shift())
    return shift[:, None, None], (255 * scale + shift)[:, None, None]


def as_pixels(images: NDArray[np.float32], image: Image) -> NDArray[np.uint8]:
    """The nearest pixels [B, H, W, C] of normalised images [B, C, H, W]; what lies beyond is clipped.

    `Image.apply` takes them back, but for the rounding.
    """
    scale, shift = image.scale_and_shift()
    pixels = (images.transpose(0, 2, 3, 1) - shift) / scale
    return np.ascontiguousarray(pixels.round().clip(0, 255).astype(np.uint8))
