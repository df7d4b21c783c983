"""Images moved a little, within what a pixel may be, to make a model fail."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import NamedTuple
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.answers import batch_size
from edgekd.learn.synthesis.pixel_range import pixel_range

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.fields.image import Image

Objective = Callable[[Tensor], Tensor]
"""What an attack makes large: a scalar of the logits [B, C]."""


class PixelRange(NamedTuple):
    """The normalised values of black and white pixels."""

    lowest: Tensor
    """Black, [C, 1, 1]."""
    highest: Tensor
    """White, [C, 1, 1]."""

    @classmethod
    def of(cls, image: Image) -> Self:
        """Return the range in images that are normalised so."""
        return cls(*pixel_range(image))

    def to(self, device: torch.device) -> PixelRange:
        """Return the same range on a device."""
        return PixelRange(self.lowest.to(device), self.highest.to(device))

    @property
    def unit(self) -> Tensor:
        """Normalised units from black to white, [C, 1, 1]."""
        return self.highest - self.lowest


def pgd(
    model: nn.Module,
    images: Tensor,
    objective: Objective,
    pixels: PixelRange,
    *,
    epsilon: float,
    step: float,
    steps: int,
    random_start: bool = True,
) -> Tensor:
    """Projected gradient ascent, bounded in the largest change of a pixel.

    Madry et al. 2018 (arXiv:1706.06083, sec. 2.1): x <- clip(x + step * sign(grad of objective(model(x)))),
    where clip keeps x within epsilon of the image and within the range of pixels. The model answers in
    evaluation mode, so that no sample of the batch changes what is done to another; its modes are put
    back, its buffers and gradients stay as they are.

    Args:
        model: from images [B, C, H, W] to logits [B, classes]. Not one that is wrapped by the loop.
        images: normalised, [B, C, H, W]; they stay as they are.
        objective: to be made large.
        pixels: what the images may hold. A pixel that lies beyond may stay where it is.
        epsilon: largest change of a pixel, where black is 0 and white is 1.
        step: length of a step, in the same unit.
        steps: how many.
        random_start: whether it starts at a random place, drawn from torch's generator of the CPU.

    Returns:
        [B, C, H, W], without gradient.

    Raises:
        ValueError: if `epsilon` is negative, or `step` or `steps` are not above 0.
    """
    if epsilon < 0 or step <= 0 or steps < 1:
        raise ValueError(
            f"want epsilon >= 0, step > 0, steps >= 1, got {epsilon:g}, {step:g}, {steps}"
        )
    images, pixels = images.detach(), pixels.to(images.device)
    unit = pixels.unit.to(images.dtype)
    low = torch.maximum(images - epsilon * unit, torch.minimum(images, pixels.lowest))
    high = torch.minimum(images + epsilon * unit, torch.maximum(images, pixels.highest))
    moved = images
    if random_start:
        chance = torch.rand(images.shape, device="cpu").to(images) * 2 - 1
        moved = (images + epsilon * unit * chance).clamp(low, high)
    with evaluation_mode(model), torch.enable_grad():
        for _ in range(steps):
            moved = moved.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(objective(model(moved)), moved)
            moved = (moved.detach() + step * unit * gradient.sign()).clamp(low, high)
    return moved.detach()


def robust_accuracy(
    model: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    image: Image,
    *,
    epsilon: float,
    step: float,
    steps: int = 20,
    random_start: bool = True,
    seed: int = 0,
) -> float:
    """Share of the images that are still told right after `pgd` on the cross-entropy.

    An upper bound: a stronger attack may find more. The images are no longer whole grey levels.

    Args:
        model: classifier; in which mode it is does not matter, and is put back.
        images: [N, H, W, C].
        labels: [N].
        image: the field of the images.
        epsilon: largest change of a pixel, where black is 0 and white is 1.
        step: length of a step, in the same unit.
        steps: how many.
        random_start: whether it starts at a random place.
        seed: of those places; torch's generator is left as it is.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: as `pgd`, or if there are no images.
    """
    if not len(images):
        raise ValueError("want at least one image")
    device, right = next(model.parameters()).device, 0
    pixels, size = PixelRange.of(image), batch_size(math.prod(images.shape[1:]))
    with torch.random.fork_rng(devices=[]), evaluation_mode(model):
        torch.manual_seed(seed)
        for start in range(0, len(images), size):
            x = torch.from_numpy(image.apply(images[start : start + size])).to(device)
            y = torch.from_numpy(labels[start : start + size]).to(device)
            moved = pgd(
                model,
                x,
                functools.partial(F.cross_entropy, target=y, reduction="sum"),
                pixels,
                epsilon=epsilon,
                step=step,
                steps=steps,
                random_start=random_start,
            )
            with torch.no_grad():
                right += int((model(moved).argmax(1) == y).sum())
    return right / len(images)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put `model` in evaluation mode, and each module back into its own afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
