from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from edgekd.bench.explanation import png


@pytest.mark.parametrize("channels", [1, 3])
def test_another_reader_sees_the_same_pixels(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    read = np.asarray(Image.open(io.BytesIO(png.encode_png(pixels))))
    assert np.array_equal(read.reshape(pixels.shape), pixels)


def test_a_large_picture_is_thinned_out() -> None:
    pixels = np.arange(200 * 100, dtype=np.uint32).reshape(200, 100, 1).astype(np.uint8)
    read = np.asarray(Image.open(io.BytesIO(png.encode_png(pixels))))
    assert max(read.shape) <= png.MOST_SIDE and np.array_equal(read, pixels[::3, ::3, 0])


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 2), (4, 4, 4)])
def test_other_forms_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="want uint8"):
        png.encode_png(np.zeros(shape, np.uint8))
