"""From stored pixels to a model's input; one definition for training, the engines and the board."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Annotated

from pydantic import Field

from edgekd import pixels
from edgekd.settings import Count
from edgekd.settings import Settings

if TYPE_CHECKING:
    import numpy as np


class Preprocessing(Settings):
    """``(pixel / 255 - mean) / std`` per channel, NHWC uint8 to NCHW float32."""

    height: Count
    width: Count
    channels: Count
    mean: Annotated[tuple[float, ...], Field(strict=False)]
    """Per channel, of pixel / 255 over the training split."""
    std: Annotated[tuple[float, ...], Field(strict=False)]
    """Per channel, of pixel / 255 over the training split; never 0."""

    def scale_and_shift(self) -> tuple[np.ndarray, np.ndarray]:
        """``a, b`` [C] float32 with input = pixel * a + b."""
        return pixels.scale_and_shift(self.mean, self.std)

    def apply(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, C] to float32 [B, C, H, W], contiguous.

        Raises:
            ValueError: if the images are of another shape or type.
        """
        return pixels.to_input(images, **self.model_dump())
