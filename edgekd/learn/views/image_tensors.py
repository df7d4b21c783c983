"""What a view does to images, in torch: where the network learns, and to the bit what `edgekd.learn.views.image` gives.

A processor reads the pixels and draws a few numbers a sample; an accelerator is sent those, a byte a value, and moves the
pixels, normalises, turns, erases and mixes them. Colours and RandAugment are changed by the processor before that: their
means and Pillow's operations would round otherwise. Each operator of torch rounds once, as numpy's do, so both ways agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple
from typing import cast

import numpy as np
import torch
from torch import Tensor

from edgekd.learn.views.image import change_pixels
from edgekd.learn.views.image import draw_erased
from edgekd.learn.views.image import draw_pasted
from edgekd.learn.views.image import draw_shares
from edgekd.learn.views.image import is_cut_later
from edgekd.learn.views.image import read_pixels
from edgekd.learn.views.motion import draw_crops
from edgekd.learn.views.motion import draw_shifts
from edgekd.learn.views.motion import draw_warps

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Field
    from edgekd.field import Rows
    from edgekd.fields.image import Image
    from edgekd.learn.view import View

PIXELS_AT_ONCE = 2**22
"""That are read between pixels; of each some ten numbers of 8 bytes are held meanwhile."""
Tensors = tuple[Tensor, ...]


class _Drawn(NamedTuple):
    """Images and what is to be done to them, in this order; what is None is not done."""

    pixels: Tensor
    """uint8 or float32 [B, H, W, C], 0 to 255."""
    shifts: Tensors | None
    """Down, right [B] in pixels, mirrored [B]."""
    parts: Tensors | None
    """Rows [B, H] and columns [B, W] that are read."""
    scale: Tensors
    """What a pixel is multiplied by, and what is added, [C]."""
    warps: Tensors | None
    """cos, sin [B], rows [B, H], columns [B, W], the middle [2]."""
    erased: Tensors | None
    """Rows [B, H] and columns [B, W] of a box."""


class PendingImages(NamedTuple):
    """Images of a view of which the pixels are read, and the numbers drawn."""

    own: _Drawn
    others: _Drawn | None = None
    """What is mixed into them."""
    share: Tensors | None = None
    """What remains of each sample, float32 [B]; or rows [B, H] and columns [B, W] of the box that does not."""

    def pin(self) -> PendingImages:
        """The same in memory from which an accelerator copies while the host goes on."""
        return cast(PendingImages, _map(Tensor.pin_memory, self))

    def finish(self, device: torch.device) -> Tensor:
        """float32 [B, C, H, W], normalised; its memory order is [B, H, W, C]. Nobody waits for the device."""
        here = cast(PendingImages, _map(lambda each: each.to(device, non_blocking=True), self))
        images = _finish_one(here.own)
        if here.others is not None and here.share is not None:
            others = _finish_one(here.others)
            if len(here.share) == 1:
                mask = here.share[0][:, None, None, None]
            else:
                mask = (~_outer(*here.share)).float()
            images = images * mask + others * (1 - mask)
        return images.permute(0, 3, 1, 2)


def begin_view(field: Field, rows: Rows, view: View) -> PendingImages:
    """What `image.apply_view` does, up to what an accelerator can do; pinned where there is one.

    Args:
        field: an image.
        rows: of the whole training split, uint8 [N, H, W, C], or `EncodedImages`.
        view: which.
    """
    begun = _begin(field, rows, view)
    return begun.pin() if torch.cuda.is_available() else begun


def _begin(field: Field, rows: Rows, view: View) -> PendingImages:
    image, pixels = cast("Image", field), cast("NDArray[np.uint8]", rows)
    own = _begin_one(image, pixels, view)
    if not view.mixes:
        return PendingImages(own)
    others = _begin_one(image, pixels, view._replace(indices=view.partners()))
    place = (view.seed, view.indices, view.number)
    if view.words.mixup:
        share = _tensors(draw_shares(view.words, *place).astype(np.float32))
    else:
        share = _tensors(*draw_pasted(view.words, (image.height, image.width), *place))
    return PendingImages(own, others, share)


def _begin_one(image: Image, rows: NDArray[np.uint8], view: View) -> _Drawn:
    words, place = view.words, (view.seed, view.indices, view.number)
    sides = image.height, image.width
    read: NDArray[Any] = read_pixels(rows, view)
    shifts = parts = warps = erased = None
    if words.color is not None or words.rand_augment is not None:
        read = change_pixels(read, rows, view)
    else:
        if words.crop or words.flip:
            shifts = _tensors(*draw_shifts(words, sides, *place))
        if words.random_resized_crop is not None and is_cut_later(rows, view):
            parts = _tensors(*draw_crops(sides, words.random_resized_crop, *place))
    if words.affine is not None:
        *drawn, middle = draw_warps(sides, words.affine, *place)
        warps = _tensors(*drawn, np.array(middle))
    if words.erase:
        erased = _tensors(*draw_erased(sides, words.erase, *place))
    scale, (pixels,) = _tensors(*image.scale_and_shift()), _tensors(read)
    return _Drawn(pixels, shifts, parts, scale, warps, erased)


def _tensors(*arrays: NDArray[Any]) -> Tensors:
    return tuple(torch.from_numpy(np.ascontiguousarray(each)) for each in arrays)


def _map(change: Any, value: Any) -> Any:
    """`value` with every tensor in it changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        made = [_map(change, each) for each in value]
        return type(value)(*made) if hasattr(value, "_fields") else tuple(made)
    return value


def _finish_one(drawn: _Drawn) -> Tensor:
    images = drawn.pixels
    if drawn.shifts is not None:
        images = _shift(images, *drawn.shifts)
    images = images.float()
    if drawn.parts is not None:
        y, x = drawn.parts
        images = _sample(images, y[:, :, None], x[:, None, :])
    scale, shift = drawn.scale
    images = images * scale + shift
    if drawn.warps is not None:
        cos, sin, rows, columns, middle = drawn.warps
        cos, sin = cos[:, None, None], sin[:, None, None]
        y, x = rows[:, :, None], columns[:, None, :]
        images = _sample(images, cos * y + sin * x + middle[0], cos * x - sin * y + middle[1])
    if drawn.erased is not None:
        images = images.masked_fill(_outer(*drawn.erased), 0.0)
    return images


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    """The box [B, H, W, 1] of those rows [B, H] and columns [B, W]."""
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _shift(images: Tensor, down: Tensor, right: Tensor, mirrored: Tensor) -> Tensor:
    """[B, H, W, C] read from so far below and from the right, then mirrored; what comes in at the edges is 0."""
    count, height, width, _ = images.shape
    steps = torch.arange(width, device=images.device)
    y = down[:, None] + torch.arange(height, device=images.device)
    x = right[:, None] + torch.where(mirrored[:, None], width - 1 - steps, steps)
    outside = ~_outer((y >= 0) & (y < height), (x >= 0) & (x < width))
    each = torch.arange(count, device=images.device)[:, None, None]
    y, x = y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None, :]
    return images[each, y, x].masked_fill(outside, 0)


def _sample(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Bilinear values of float32 [B, H, W, C] at the places y, x, float64 [B, H or 1, W or 1]; edges repeated."""
    count, height, width, _ = images.shape
    at_once = max(1, PIXELS_AT_ONCE // (height * width))
    starts = range(0, max(1, count), at_once)
    parts = [[each[at : at + at_once] for at in starts] for each in (images, y, x)]
    made = [_sample_bilinear(*each) for each in zip(*parts, strict=True)]
    return made[0] if len(made) == 1 else torch.cat(made)


def _sample_bilinear(images: Tensor, y: Tensor, x: Tensor) -> Tensor:
    count, height, width, channels = images.shape
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor(), x.floor()
    dy, dx = (y - top).float()[..., None], (x - left).float()[..., None]
    above_left = (top * width + left).long()
    right = (left < width - 1).long()
    lower = torch.where(top < height - 1, width, 0)
    flat = images.reshape(count, height * width, channels)

    def take(places: Tensor) -> Tensor:
        wide = places.reshape(count, height * width, 1).expand(-1, -1, channels)
        return flat.gather(1, wide).reshape(count, height, width, channels)

    above = take(above_left) * (1 - dx) + take(above_left + right) * dx
    below = take(above_left + lower) * (1 - dx) + take(above_left + lower + right) * dx
    return above * (1 - dy) + below * dy
