"""From stored pixels to a model's input; one definition for training, the engines and the board."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Annotated
from typing import Self

from pydantic import Field
from pydantic import model_validator

from edgekd.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from edgekd.fields.image import Image

MOST_SIDE, MOST_CHANNELS, MOST_PIXELS = 2**15, 2**12, 2**28
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]
Mean = Annotated[float, Field(ge=-1e6, le=1e6)]
Std = Annotated[float, Field(ge=1e-6, le=1e6)]


class Preprocessing(Settings):
    """``(pixel / 255 - mean) / std`` per channel, NHWC uint8 to NCHW float32."""

    height: Side
    width: Side
    channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
    mean: Annotated[tuple[Mean, ...], Field(strict=False)]
    """Per channel, of pixel / 255 over the training split."""
    std: Annotated[tuple[Std, ...], Field(strict=False)]
    """Per channel, of pixel / 255 over the training split; never 0."""

    @model_validator(mode="after")
    def _by_channel(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ValueError(f"{name}: got {len(values)} numbers, want {self.channels}")
        if self.height * self.width * self.channels > MOST_PIXELS:
            raise ValueError(f"got {self.height} x {self.width} x {self.channels}, want less")
        return self

    def as_field(self) -> Image:
        """The same as a field of a data set."""
        from edgekd.fields.image import (
            Image,  # it brings numpy, which reading a recipe does without
        )

        return Image(**self.model_dump())

    def scale_and_shift(self) -> tuple[np.ndarray, np.ndarray]:
        """``a, b`` [C] float32 with input = pixel * a + b."""
        return self.as_field().scale_and_shift()

    def apply(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, C] to float32 [B, C, H, W], contiguous.

        Raises:
            ValueError: if the images are of another shape or type.
        """
        return self.as_field().apply(images)
