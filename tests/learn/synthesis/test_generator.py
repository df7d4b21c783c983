"""Any size, any number of channels, pixels that can be stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgekd.fields.image import Image
from edgekd.learn.synthesis.generator import generator
from edgekd.learn.synthesis.pixel_range import as_pixels
from edgekd.learn.synthesis.pixel_range import pixel_range


def about(height: int, width: int, channels: int) -> Image:
    mean = tuple(0.2 + 0.1 * channel for channel in range(channels))
    std = tuple(0.1 + 0.05 * channel for channel in range(channels))
    return Image(height=height, width=width, channels=channels, mean=mean, std=std)


@pytest.mark.parametrize(
    ("height", "width", "channels"), [(4, 4, 1), (5, 7, 2), (28, 28, 1), (40, 6, 3), (65, 33, 3)]
)
@pytest.mark.parametrize("batch", [1, 3])
def test_every_size(height: int, width: int, channels: int, batch: int) -> None:
    size = about(height, width, channels)
    module = generator(size, noise=5, width=4)
    images = module(100 * torch.randn(batch, 5))
    assert images.shape == (batch, channels, height, width)
    low, high = pixel_range(size)
    assert bool((images >= low).all() and (images <= high).all())
    assert set(module.state_dict()) == {name for name, _ in module.named_parameters()} | {
        name for name, _ in module.named_buffers() if name not in ("low", "high")
    }
    assert max(module.start) <= 8  # type: ignore[arg-type,type-var]
    images.sum().backward()
    assert all(p.grad is not None for p in module.parameters())


def test_noise_decides() -> None:
    module = generator(about(8, 8, 1), noise=5, width=4)
    images = module(torch.randn(4, 5))
    assert float((images[0] - images[1]).detach().abs().max()) > 0.1


def test_doubling_is_nearest() -> None:
    from edgekd.learn.synthesis.generator import _doubled

    maps = torch.randn(2, 3, 4, 5)
    want = torch.nn.functional.interpolate(maps, scale_factor=2, mode="nearest")
    assert torch.equal(_doubled(maps), want)


def test_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="sides of 4"):
        generator(about(3, 8, 1))


def test_pixels_come_back_and_what_lies_beyond_is_clipped() -> None:
    size = about(16, 16, 3)
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    images = size.apply(pixels)
    assert np.array_equal(as_pixels(images, size), pixels)
    low, high = pixel_range(size)
    assert np.allclose(images.min((0, 2, 3)), low[:, 0, 0], atol=1e-5)
    assert np.allclose(images.max((0, 2, 3)), high[:, 0, 0], atol=1e-5)
    assert set(np.unique(as_pixels(100 * (images - images.mean()), size))) <= set(range(256))
    assert as_pixels(images + 1e3, size).min() == 255 and as_pixels(images - 1e3, size).max() == 0
