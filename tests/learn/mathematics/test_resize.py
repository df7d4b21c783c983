"""Images in another size, against the triangle filter written out and against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.mathematics.resize import resize_images


def images(channels: int, height: int, width: int) -> Tensor:
    k = torch.arange(2 * channels * height * width, dtype=torch.float64)
    return torch.sin(1 + k**1.1).reshape(2, channels, height, width)


def triangles(size: int, wanted: int) -> Tensor:
    """[wanted, size]: row by row, weights that fall off from the middle of the wanted pixel."""
    ratio = size / wanted
    reach, rows = max(ratio, 1.0), []
    for pixel in range(wanted):
        middle = (pixel + 0.5) * ratio
        row = [max(0.0, 1 - abs(at + 0.5 - middle) / reach) for at in range(size)]
        rows.append([weight / sum(row) for weight in row])
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize(("height", "width"), [(4, 5), (3, 14), (16, 9), (8, 10), (1, 1)])
def test_sides_change_as_the_triangle_filter_says(height: int, width: int) -> None:
    given = images(3, 8, 10)
    want = triangles(8, height) @ given @ triangles(10, width).T
    made = resize_images(given, 3, height, width)
    assert torch.allclose(made, want, rtol=1e-12, atol=1e-12)
    sides = (height, width)
    torch_s = F.interpolate(given, sides, mode="bilinear", align_corners=False, antialias=True)
    assert torch.allclose(made, torch_s, rtol=1e-6, atol=1e-6)


def test_the_gradient_of_a_generator_s_images_is_the_weights_transposed() -> None:
    given = images(1, 8, 8).requires_grad_()
    resize_images(given, 3, 3, 5).sum().backward()
    want = 3 * torch.outer(triangles(8, 3).sum(0), triangles(8, 5).sum(0))
    assert given.grad is not None
    assert torch.allclose(given.grad, want.expand_as(given))


def test_the_same_tensor_where_all_agree() -> None:
    given = images(3, 8, 10)
    assert resize_images(given, 3, 8, 10) is given


def test_gray_is_repeated_and_back_again() -> None:
    gray = images(1, 6, 6)
    colour = resize_images(gray, 3, 6, 6)
    assert colour.shape == (2, 3, 6, 6)
    assert all(torch.equal(colour[:, number], gray[:, 0]) for number in range(3))
    assert torch.allclose(resize_images(colour, 1, 6, 6), gray, rtol=1e-12)


def test_luma_by_hand_and_before_or_after_the_sides() -> None:
    pure = torch.eye(3).reshape(3, 3, 1, 1)
    assert resize_images(pure, 1, 1, 1).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])
    given = images(3, 8, 8)
    one, other = (
        resize_images(resize_images(given, 1, 8, 8), 1, 5, 3),
        resize_images(given, 1, 5, 3),
    )
    assert torch.allclose(one, other)
    assert torch.allclose(
        resize_images(resize_images(given, 3, 5, 3), 1, 5, 3), other, rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_type_and_input_stay(dtype: torch.dtype) -> None:
    given = images(3, 8, 8).to(dtype)
    kept = given.clone()
    assert resize_images(given, 1, 4, 4).dtype == dtype
    assert resize_images(given, 3, 16, 16).dtype == dtype
    assert torch.equal(given, kept)


def test_other_channels_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="got 4 channels, want 3"):
        resize_images(images(4, 8, 8), 3, 8, 8)
    with pytest.raises(ValueError, match=r"want \[B, C, H, W\]"):
        resize_images(images(3, 8, 8)[0], 3, 8, 8)
    with pytest.raises(ValueError, match="at least 1"):
        resize_images(images(3, 8, 8), 3, 0, 8)
