"""What a synthesizer is asked for, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from edgekd.fields.image import Image
from edgekd.progress import Progress


class SynthesisRequest(NamedTuple):
    """Number, shape and classes of the images to make; the same in all methods."""

    classes: int
    """How many the teacher tells apart."""
    image: Image
    """Its sides and channels are the images', and no pixel leaves 0 to 255."""
    number: int
    """Of images."""
    seed: int
    device: torch.device
    progress: Progress

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        about = self.image
        return about.channels, about.height, about.width

    def pixels(self, part: float) -> int:
        """`part` of the shorter side, rounded."""
        return round(part * min(self.shape[1:]))

    def batches(self, size: int) -> list[int]:
        """Sizes of the batches that make up the number, `size` but for the last."""
        whole, rest = divmod(self.number, size)
        return [size] * whole + [rest] * (rest > 0)

    def targets(self, random: torch.Generator, most: int) -> Sequence[Tensor]:
        """Classes, int64, all as common as can be, in random order; batches of one size, at most `most`."""
        ordered = torch.arange(self.number) % self.classes
        mixed = ordered[torch.randperm(self.number, generator=random)]
        return mixed.tensor_split(-(-self.number // most))

    def generator(self) -> torch.Generator:
        """The source of all randomness, on the CPU."""
        return torch.Generator().manual_seed(self.seed)


def require_finite_images(batches: Iterator[Tensor]) -> Iterator[Tensor]:
    """Yield the same batches, without gradient.

    Raises:
        ValueError: at the first that holds what is no number.
    """
    for batch in batches:
        if not bool(batch.isfinite().all()):
            raise ValueError(
                "got images that are no numbers, want a teacher with finite gradients, or a lower rate"
            )
        yield batch.detach()


@contextmanager
def seed_torch(seed: int) -> Iterator[None]:
    """Seed torch's global generator, from which networks are initialised, and put it back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
