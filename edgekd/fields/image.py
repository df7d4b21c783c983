"""Pixels of one size; the one definition of an image's preprocessing for training, the engines and the board."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from typing import Self
from typing import TypeGuard

import numpy as np

from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import RaggedRows
from edgekd.field import form_text
from edgekd.field import require
from edgekd.field import require_whole
from edgekd.interface import BATCH
from edgekd.interface import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

MOST_SIDE, MOST_CHANNELS, MOST_PIXELS = 2**15, 2**12, 2**28
STD_FLOOR = 1 / 255
"""Of a channel that never changes; dividing by it keeps one grey level at size one."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation per channel that most pretrained networks want."""
_LEAST_STD, _MOST = 1e-6, 1e6
_CHUNK, _CACHED = 2**22, 2**18
"""Pixels that are counted and normalised at a time."""
SAMPLED = 2048
"""Training images whose mean and std are counted where each has to be decoded for it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Image(Field):
    """uint8 [N, H, W, C], of which a model takes ``(pixel / 255 - mean) / std`` per channel, [N, C, H, W]."""

    kind: ClassVar[str] = "image"
    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    """Per channel, of pixel / 255 over the training split."""
    std: tuple[float, ...]
    """Per channel, of pixel / 255 over the training split; never 0."""
    resize: int | None = None
    """Shorter side that a larger image is scaled to before its middle is cut out; None is what just covers the size."""

    def __post_init__(self) -> None:
        for name, most in (
            ("height", MOST_SIDE),
            ("width", MOST_SIDE),
            ("channels", MOST_CHANNELS),
        ):
            size = getattr(self, name)
            require(type(size) is int and 1 <= size <= most, f"{name} {size!r}")
        pixels = self.height * self.width * self.channels
        require(pixels <= MOST_PIXELS, f"{pixels} values an image, want at most {MOST_PIXELS}")
        if self.resize is not None:
            require_whole("resize", self.resize, max(self.height, self.width), MOST_SIDE)
        for name, least in (("mean", -_MOST), ("std", _LEAST_STD)):
            values = getattr(self, name)
            count = len(values) if isinstance(values, tuple) else type(values).__name__
            require(
                count == self.channels,
                f"{count} values in {name}, want {self.channels}, one for each channel",
            )
            for value in values:
                holds = type(value) in (int, float) and least <= value <= _MOST
                require(
                    holds, f"{name} {str(value)[:20]}, want a number from {least:g} to {_MOST:g}"
                )

    @classmethod
    def describe(
        cls,
        rows: Rows,
        order: NDArray[np.int64],
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        resize: int | None = None,
        **said: Any,
    ) -> Self:
        """Mean and std are those of ``rows[order]`` where nobody says others; of rows that are decoded when they are
        asked for, those of the first `SAMPLED`."""
        if not _are_pixels(rows) or 0 in rows.shape[1:]:
            raise ValueError(f"got {form_text(rows)}, want uint8 [N, H, W, C]")
        if mean is None or std is None:
            counted = order if isinstance(rows, np.ndarray) else order[:SAMPLED]
            own_mean, own_std = mean_and_std(rows, counted)
            mean, std = mean or own_mean, std or own_std
        height, width, channels = rows.shape[1:]
        return cls(
            height=height,
            width=width,
            channels=channels,
            mean=tuple(mean),
            std=tuple(std),
            resize=resize,
        )

    def to_json(self) -> dict[str, Any]:
        """Its kind and what it holds; `resize` where there is one."""
        said = super().to_json()
        return {name: value for name, value in said.items() if name != "resize" or value}

    def check(self, rows: Rows, where: str) -> None:
        """Refuse other types and sizes."""
        size = (self.height, self.width, self.channels)
        if not _are_pixels(rows) or rows.shape[1:] != size or not len(rows):
            raise InputError(f"{where}: got {form_text(rows)}, want uint8 [N, {str(size)[1:-1]}]")

    def sizes(self) -> dict[str, int]:
        """``channels``, ``height``, ``width``."""
        return {"channels": self.channels, "height": self.height, "width": self.width}

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """float32 [batch, C, H, W]."""
        return (Tensor(name, "float32", (BATCH, self.channels, self.height, self.width)),)

    def preview(self, rows: Rows) -> NDArray[Any]:
        """Red, green and blue, or one grey channel."""
        pixels: NDArray[Any] = np.asarray(rows)[0]
        return pixels[..., : 3 if self.channels >= 3 else 1]

    def alternatives(self) -> dict[str, Self]:
        """The same with other usual means and standard deviations."""
        one = (1.0,) * self.channels
        usual = {
            "pixels / 255 without mean and std": (0.0, 1.0),
            "raw pixels 0 to 255": (0.0, 1 / 255),
            "mean 0.5, std 0.5": (0.5, 0.5),
        }
        found = {
            name: (tuple(mean * each for each in one), tuple(std * each for each in one))
            for name, (mean, std) in usual.items()
        }
        if self.channels == len(IMAGENET[0]):
            found["ImageNet's mean and std"] = IMAGENET
        return {
            name: dataclasses.replace(self, mean=mean, std=std)
            for name, (mean, std) in found.items()
        }

    def scale_and_shift(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``a, b`` [C] float32 with (pixel / 255 - mean) / std = pixel * a + b."""
        means, stds = np.asarray(self.mean), np.asarray(self.std)
        return (1 / (255 * stds)).astype(np.float32), (-means / stds).astype(np.float32)

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """uint8 [N, H, W, C] to float32 [N, C, H, W], contiguous."""
        return {name: self.apply(np.asarray(rows))}

    def apply(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """uint8 [N, H, W, C] to float32 [N, C, H, W], contiguous.

        Raises:
            ValueError: if the images are of another shape or type.
        """
        want = (self.height, self.width, self.channels)
        if images.dtype != np.uint8 or images.shape[1:] != want:
            raise ValueError(f"want uint8 [B, {want}], got {images.dtype} {images.shape}")
        return np.ascontiguousarray(self.normalise(images).transpose(0, 3, 1, 2))

    def normalise(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """``pixel * a + b`` of [N, H, W, C]; some images at a time, which stay in the processor's cache."""
        count, height, width, _ = pixels.shape
        scale, shift = (np.tile(each, height * width) for each in self.scale_and_shift())
        images = np.empty(pixels.shape, np.float32)
        flat = images.reshape(count, len(scale))
        at_once = max(1, _CACHED // len(scale))
        for start in range(0, count, at_once):
            some = flat[start : start + at_once]
            some[:] = pixels[start : start + at_once].reshape(some.shape)
            some *= scale
            some += shift
        return images


def _are_pixels(rows: Rows) -> TypeGuard[NDArray[Any]]:
    """Whether they are uint8 [N, H, W, C], an array or decoded when they are asked for."""
    return not isinstance(rows, RaggedRows) and rows.dtype == np.uint8 and rows.ndim == 4


def mean_and_std(
    images: NDArray[Any], order: NDArray[np.int64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per channel, of pixel / 255 over ``images[order]``, to six decimals.

    Counted in whole numbers, so the result does not depend on the order or on the machine.

    Args:
        images: uint8 [N, H, W, C].
        order: indices [n], n > 0.
    """
    channels = images.shape[3]
    counts = np.zeros((channels, 256), np.int64)
    at_once = max(1, _CHUNK // math.prod(images.shape[1:]))
    for start in range(0, len(order), at_once):
        chunk = images[order[start : start + at_once]]
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    rows = [_moments(row) for row in counts.tolist()]
    return tuple(mean for mean, _ in rows), tuple(std for _, std in rows)


def _moments(counts: list[int]) -> tuple[float, float]:
    total = sum(counts)
    first = sum(value * count for value, count in enumerate(counts))
    second = sum(value * value * count for value, count in enumerate(counts))
    variance = (total * second - first * first) / (255 * total) ** 2
    return round(first / (255 * total), 6), round(max(math.sqrt(variance), STD_FLOOR), 6)
