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


class Preprocessing(Settings):
    """``(pixel / 255 - mean) / std`` per channel, NHWC uint8 to NCHW float32."""

    height: int
    width: int
    channels: int
    mean: Annotated[tuple[float, ...], Field(strict=False)]
    """Per channel, of pixel / 255 over the training split."""
    std: Annotated[tuple[float, ...], Field(strict=False)]
    """Per channel, of pixel / 255 over the training split; never 0."""

    @model_validator(mode="after")
    def _is_field(self) -> Self:
        self.as_field()  # which holds the limits
        return self

    def as_field(self) -> Image:
        """The same as a field of a data set."""
        from edgekd.fields.image import Image  # brings numpy; a recipe is read without

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
