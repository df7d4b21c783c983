"""What a recipe may say of views. Imports no torch."""

from __future__ import annotations

from typing import Annotated
from typing import Self

from pydantic import Field
from pydantic import model_validator

from edgekd.settings import Count
from edgekd.settings import Fraction
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import omit_default

PositiveShare = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Affine(Settings):
    """Random rotation, shift and zoom, each uniform in its range."""

    degrees: NonNegative = 0.0
    """Largest rotation either way."""
    translate: Fraction = 0.0
    """Largest shift, as a fraction of the side."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Zoom between 1 - scale and 1 + scale."""


class ColorJitter(Settings):
    """Random changes of colour: each factor uniform in its range, in a random order."""

    brightness: NonNegative = 0.0
    """Pixels times 1 - brightness to 1 + brightness."""
    contrast: NonNegative = 0.0
    """Distance to the mean grey times 1 - contrast to 1 + contrast."""
    saturation: NonNegative = 0.0
    """Distance to a pixel's own grey times 1 - saturation to 1 + saturation."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Largest turn of the hue either way, in circles."""


class RandAugment(Settings):
    """Random operations of one strength (Cubuk et al. 2020): shears, shifts, a turn, changes of colour and of tones."""

    operations: Annotated[int, Field(ge=1, le=8)] = 2
    """How many, one after another."""
    magnitude: Annotated[float, Field(ge=0, le=30, allow_inf_nan=False)] = 9.0
    """How strong: 30 turns by 30 degrees, shifts by 45 % of a side."""


class RandomResizedCrop(Settings):
    """A random part of the image, scaled to its size (Szegedy et al. 2015)."""

    scale: Annotated[tuple[PositiveShare, PositiveShare], Field(strict=False)] = (0.08, 1.0)
    """Smallest and largest area of the part, as fractions of the image."""
    ratio: Annotated[tuple[Positive, Positive], Field(strict=False)] = (0.75, 4 / 3)
    """Smallest and largest width over height."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        for name in ("scale", "ratio"):
            least, most = getattr(self, name)
            if least > most:
                raise ValueError(f"got {name} [{least}, {most}], want the smaller first")
        return self


class Views(Settings):
    """Augmentation. A view is a pure function of (seed, sample index, view number)."""

    count: Count = 8
    """Different views of each sample; epoch e shows view e modulo count. A teacher's answers to
    all of them are stored once."""
    flip: bool = False
    """Mirror left to right, every other time."""
    crop: Annotated[int, Field(ge=0, le=256)] = 0
    """Pad by this many pixels, then cut the old size at a random place."""
    random_resized_crop: RandomResizedCrop | None = omit_default(None)
    """Cut a random part and scale it to the size of the image."""
    color: ColorJitter | None = omit_default(None)
    """Change brightness, contrast, saturation and hue."""
    rand_augment: RandAugment | None = omit_default(None)
    """Do some random operations of one strength."""
    affine: Affine | None = None
    """Random rotation, shift and zoom."""
    erase: Fraction = 0.0
    """Probability of painting a random box (2 to 20 % of the area) in the mean colour."""
    mixup: NonNegative = 0.0
    """Beta parameter of mixing with another sample (Zhang et al. 2018); 0 is off."""
    cutmix: NonNegative = 0.0
    """Beta parameter of pasting a box of another sample (Yun et al. 2019); 0 is off."""

    @model_validator(mode="after")
    def _one_mix(self) -> Self:
        if self.mixup and self.cutmix:
            raise ValueError("got mixup and cutmix, want one of them")
        return self
