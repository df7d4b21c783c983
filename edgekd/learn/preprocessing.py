"""What a published model wants its images to be like, and what its classes are called. Imports no torch."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Annotated
from typing import Any

from pydantic import Field
from pydantic import ValidationError

from edgekd.errors import InputError
from edgekd.settings import Count
from edgekd.settings import Settings

PerChannel = Annotated[tuple[float, ...], Field(min_length=1, max_length=64, strict=False)]
_IMAGENET_CLASSES = 1000
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
"""Pillow's numbers."""
_SIDES = ("height", "width")


class Preprocessing(Settings):
    """How the images were prepared that weights were trained with; None where nothing says it."""

    mean: PerChannel | None = None
    """Subtracted from pixel / 255, per channel."""
    std: PerChannel | None = None
    """Divided by afterwards, per channel."""
    channels: Count | None = None
    height: Count | None = None
    width: Count | None = None
    has_fixed_size: bool = False
    """Whether the network takes that size alone, as a transformer with learned places does."""
    interpolation: str = ""
    """The filter by which images were scaled."""
    crop: float | None = None
    """The share of the scaled image's side that was cut out of its middle."""

    def describe(self) -> str:
        """The size and filter as words, empty where nothing is known."""
        size = f"{self.height}x{self.width}" if self.height and self.width else ""
        return " ".join(filter(None, (size, self.interpolation)))


def read_timm(config: Mapping[str, Any], where: str) -> Preprocessing:
    """Read a configuration of timm: ``mean``, ``std``, ``input_size``, ``interpolation``, ``crop_pct``.

    Args:
        config: of the model's ``config.json``; the fields lie in it or in its ``pretrained_cfg``.
        where: how to call it in a message.

    Raises:
        InputError: if a field is not what it should be.
    """
    fields = _pretrained_fields(config)
    sizes = fields.get("input_size") or (None, None, None)
    if not isinstance(sizes, list | tuple) or len(sizes) != 3:
        raise InputError(f"{where}: input_size: got {sizes!r:.60}, want channels, height and width")
    return _checked(
        where,
        mean=fields.get("mean"),
        std=fields.get("std"),
        channels=sizes[0],
        height=sizes[1],
        width=sizes[2],
        has_fixed_size=bool(fields.get("fixed_input_size")),
        interpolation=fields.get("interpolation") or "",
        crop=fields.get("crop_pct"),
    )


def read_transformers(
    config: Mapping[str, Any], fields: Mapping[str, Any], where: str
) -> Preprocessing:
    """Read a ``preprocessor_config.json`` of transformers: ``image_mean``, ``image_std``, ``size``, ``crop_size``.

    Args:
        config: of the model's ``config.json``.
        fields: the preprocessor's; empty where there is none.
        where: how to call it in a message.

    Raises:
        InputError: if a field is not what it should be.
    """
    mean, std = fields.get("image_mean"), fields.get("image_std")
    if fields.get("do_normalize") is False:
        mean, std = [0.0], [1.0]
    rescale = fields.get("rescale_factor", 1 / 255)
    if mean is not None and std is not None and isinstance(rescale, float) and rescale > 0:
        # It is (factor * pixel - mean) / std there, (pixel / 255 - mean) / std here.
        mean, std = ([float(v) / (255 * rescale) for v in values] for values in (mean, std))
    size = _find_size(fields) or config.get("image_size")
    if isinstance(size, int):
        size = (size, size)
    height, width = size if isinstance(size, list | tuple) and len(size) == 2 else (None, None)
    return _checked(
        where,
        mean=mean,
        std=std,
        channels=config.get("num_channels"),
        height=height,
        width=width,
        has_fixed_size="image_size" in config,
        interpolation=_FILTERS.get(fields.get("resample", -1), ""),
        crop=fields.get("crop_pct"),
    )


def name_timm_classes(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the classes of a timm model in its order; those of ImageNet are known to the package; else empty."""
    names = config.get("label_names") or _pretrained_fields(config).get("label_names")
    descriptions = config.get("label_descriptions") or {}
    if isinstance(names, list) and names:
        return tuple(str(descriptions.get(name, name)) for name in names)
    count = _pretrained_fields(config).get("num_classes", config.get("num_classes"))
    return _imagenet_names() if count == _IMAGENET_CLASSES else ()


def _imagenet_names() -> tuple[str, ...]:
    """Of its 1,000 classes, as far as the files of an installed timm say them."""
    try:
        folder = importlib.metadata.distribution("timm").locate_file("timm/data/_info")
        synsets, lemmas = (
            (folder / f"imagenet_{name}.txt").read_text().splitlines()
            for name in ("synsets", "synset_to_lemma")
        )
    except (importlib.metadata.PackageNotFoundError, OSError):
        return ()
    names = dict(line.split("\t", 1) for line in lemmas if "\t" in line)
    return tuple(names.get(each, each) for each in synsets)


def _pretrained_fields(config: Mapping[str, Any]) -> Mapping[str, Any]:
    fields = config.get("pretrained_cfg", config)
    return fields if isinstance(fields, dict) else {}


def _find_size(fields: Mapping[str, Any]) -> Any:
    """What is cut out in the end, or what images are scaled to."""
    crops = fields.get("do_center_crop", "crop_size" in fields)
    for name in ("crop_size", "size") if crops else ("size",):
        size = fields.get(name)
        if isinstance(size, dict) and all(side in size for side in _SIDES):
            return tuple(size[side] for side in _SIDES)
        if isinstance(size, dict):
            size = size.get("shortest_edge")
        if size is not None:
            return size
    return None


def _checked(where: str, **fields: Any) -> Preprocessing:
    try:
        return Preprocessing.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {key}: got {first['input']!r:.60}: {first['msg']}") from error
