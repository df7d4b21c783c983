"""Images from anybody as a bundle's model takes them, with a word on what was done to each."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekd import files
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.fields.image import Image
from edgekd.learn.formats import image as image_format
from edgekd.learn.formats import npy

MOST_IMAGES = 10_000
"""In one .npy file."""
MODES = {1: "grey", 3: "RGB"}


class UserImage(NamedTuple):
    """One image, ready but for the scaling of its pixels."""

    name: str
    pixels: np.ndarray
    """uint8 [H, W, C] of the model's size."""
    prepared: str
    """What was done to it; empty if it was taken as it is."""


def read_images(path: Path, field: Image) -> list[UserImage]:
    """Read the images of `path`: one, or those of an .npy file.

    Raises:
        InputError: if it is no image, a broken or too large one, or an array of another form.
        MachineError: if Pillow is needed and missing.
    """
    if path.suffix == ".npy":
        return _arrays(path, field)
    if field.channels not in MODES:
        raise InputError(
            f"{path}: got an image for a model of {field.channels} channels, want .npy"
        )
    if importlib.util.find_spec("PIL") is None:
        raise MachineError(
            f"{path}: Pillow, which decodes images, is not installed",
            hint="pip install 'edgekd[predict]'",
        )
    with files.open_regular(path) as file:
        data = file.read(image_format.LIMIT_BYTES + 1)
    if field.resize:
        shape = image_format.Shape(field.height, field.channels, field.resize)
        pixels = image_format.decode(data, shape, str(path))
        said = f"read as {MODES[field.channels]}, shorter side scaled to {field.resize}, middle {field.height} cut out"
        return [UserImage(str(path), pixels, said)]
    shape = image_format.Shape(None, field.channels)
    decoded = image_format.decode(data, shape, str(path))
    return [_fitted(path, decoded, field)]


def _fitted(path: Path, decoded: np.ndarray, field: Image) -> UserImage:
    """Brought to the model's size as training brings images to theirs: scaled to cover, cut out."""
    from PIL import Image as module
    from PIL import ImageOps

    height, width = decoded.shape[:2]
    mode = MODES[field.channels]
    if (height, width) == (field.height, field.width):
        return UserImage(str(path), decoded, f"read as {mode}")
    flat = decoded[:, :, 0] if field.channels == 1 else decoded
    size = field.width, field.height
    fitted = ImageOps.fit(module.fromarray(flat), size, module.Resampling.BILINEAR)
    said = f"read as {mode}, {width} x {height} scaled to {size[0]} x {size[1]} (bilinear)"
    if width * size[1] != height * size[0]:
        said += ", sides cut off"
    pixels = np.asarray(fitted).reshape(size[1], size[0], field.channels)
    return UserImage(str(path), pixels, said)


def _arrays(path: Path, field: Image) -> list[UserImage]:
    with files.open_regular(path) as file:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        try:
            array = npy.read(file, size_bytes, str(path))
        except EdgekdError:
            raise
        except Exception as error:  # numpy's parser of headers raises anything
            raise InputError(f"{path}: got no .npy file: {error}") from error
    size = (field.height, field.width, field.channels)
    wanted = [size] if field.channels > 1 else [size, size[:2]]
    many = array.reshape(1, *size) if array.shape in wanted else array
    if many.dtype != np.uint8 or many.shape[1:] != size or not 0 < len(many) <= MOST_IMAGES:
        raise InputError(
            f"{path}: got {array.dtype} {list(array.shape)}, want uint8 {list(size)} or up to "
            f"{MOST_IMAGES} of them"
        )
    names = [str(path)] if len(many) == 1 else [f"{path}[{n}]" for n in range(len(many))]
    return [UserImage(name, pixels, "") for name, pixels in zip(names, many, strict=True)]
