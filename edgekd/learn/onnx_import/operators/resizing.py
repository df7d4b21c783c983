"""Images made larger or smaller, and what moves pixels between channels and places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.onnx_import.values import Attributes
from edgekd.learn.onnx_import.values import Operator
from edgekd.learn.onnx_import.values import Value
from edgekd.learn.onnx_import.values import as_sizes
from edgekd.learn.onnx_import.values import as_tensor

SMOOTH = {3: "linear", 4: "bilinear", 5: "trilinear"}
"""torch's names of a linear interpolation, by the number of axes."""
CUBIC_A = -0.75
"""The coefficient that torch's cubic interpolation has."""
NEAREST = {
    ("asymmetric", "floor"): "nearest",
    ("half_pixel", "round_prefer_floor"): "nearest-exact",
    ("half_pixel", "round_prefer_ceil"): "nearest-exact",
}


def resize(
    attributes: Attributes,
    x: Value,
    region: Value | None = None,
    scales: Value | None = None,
    sizes: Value | None = None,
) -> Tensor:
    """To a size, or by factors."""
    if attributes.opset == 10:  # without a region
        region, scales = None, region
    return _interpolate(attributes, as_tensor(x), scales, sizes)


def upsample(attributes: Attributes, x: Value, scales: Value | None = None) -> Tensor:
    """By factors; the older name, whose pixels begin at their corner."""
    words = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    said: dict[str, Any] = {**words, **attributes.words}
    tensor = as_tensor(x)
    if scales is None:
        factors = [float(each) for each in said["scales"]]
    else:
        factors = [float(each) for each in as_factors(scales)]
    return _by_factors(Attributes(said, attributes.opset), tensor, factors)


def as_factors(value: Value) -> list[float]:
    """Numbers that are known before anything runs."""
    if isinstance(value, Tensor):
        raise ValueError("takes factors that depend on its inputs' values")
    return [float(each) for each in value.ravel().tolist()]


def _interpolate(
    attributes: Attributes, x: Tensor, scales: Value | None, sizes: Value | None
) -> Tensor:
    if attributes.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("keeps the ratio of an image's sides, which has no form here")
    axes = attributes.wholes("axes") or list(range(x.dim()))
    if sizes is None:
        factors = [1.0] * x.dim()
        for axis, factor in zip(
            axes, as_factors(scales) if scales is not None else [], strict=False
        ):
            factors[axis] = factor
        return _by_factors(attributes, x, factors)
    goal: list[int] = list(x.shape)
    for axis, size in zip(axes, as_sizes(sizes), strict=False):
        goal[axis] = size
    return _call(attributes, x, size=goal[2:])


def _by_factors(attributes: Attributes, x: Tensor, factors: list[float]) -> Tensor:
    if any(factor != 1 for factor in factors[:2]):
        raise ValueError(f"resizes batch or channels by {factors[:2]}, want images alone")
    return _call(attributes, x, scale_factor=[float(factor) for factor in factors[2:]])


def _call(attributes: Attributes, x: Tensor, **goal: Any) -> Tensor:
    """torch's interpolation with the same pixels."""
    mode = attributes.text("mode", "nearest")
    places = attributes.text(
        "coordinate_transformation_mode", "half_pixel" if attributes.opset > 10 else "asymmetric"
    )
    rounding = attributes.text(
        "nearest_mode", "round_prefer_floor" if attributes.opset > 10 else "floor"
    )
    if attributes.whole("antialias"):
        raise ValueError("smooths before it resizes, which has no form here")
    if mode == "nearest":
        name = NEAREST.get((places, rounding))
        if name == "nearest" or (name is not None and _is_multiple(x, goal)):
            return F.interpolate(x, mode=name, **goal)
    elif mode == "linear" and _has_same_places(x, places, goal):
        corners = places == "align_corners"
        return F.interpolate(x, mode=SMOOTH[x.dim()], align_corners=corners, **goal)
    elif (
        mode == "cubic"
        and x.dim() == 4
        and _is_plain_cubic(attributes)
        and _has_same_places(x, places, goal)
    ):
        corners = places == "align_corners"
        return F.interpolate(x, mode="bicubic", align_corners=corners, **goal)
    raise ValueError(f"resizes by {mode} with {places}, {rounding}, which has no form in torch")


def _is_multiple(x: Tensor, goal: Mapping[str, Any]) -> bool:
    """Whether every side becomes a multiple of itself: then it does not matter to which side a half is rounded."""
    if "scale_factor" in goal:
        return all(float(factor).is_integer() for factor in goal["scale_factor"])
    sizes = list(zip(goal["size"], x.shape[2:], strict=True))
    return all(
        isinstance(to, int) and isinstance(side, int) and to % side == 0 for to, side in sizes
    )


def _has_same_places(x: Tensor, places: str, goal: Mapping[str, Any]) -> bool:
    """Whether torch reads the image at the same places: it rounds sizes, and has a rule of its own for a single one."""
    return places == "half_pixel" or (
        places in ("pytorch_half_pixel", "align_corners") and _is_multiple(x, goal)
    )


def _is_plain_cubic(attributes: Attributes) -> bool:
    """Whether it is torch's: its coefficient, and edges that are repeated."""
    same = attributes.real("cubic_coeff_a", CUBIC_A) == CUBIC_A
    return same and not attributes.whole("exclude_outside")


def depth_to_space(attributes: Attributes, x: Value) -> Tensor:
    """Blocks of channels become places."""
    block, tensor = attributes.whole("blocksize"), as_tensor(x)
    if attributes.text("mode", "DCR") == "CRD":
        return F.pixel_shuffle(tensor, block)
    batch, channels, height, width = tensor.shape
    deep = channels // block**2
    parts = tensor.reshape(batch, block, block, deep, height, width).permute(0, 3, 4, 1, 5, 2)
    return parts.reshape(batch, deep, height * block, width * block)


def space_to_depth(attributes: Attributes, x: Value) -> Tensor:
    """Blocks of places become channels."""
    block, tensor = attributes.whole("blocksize"), as_tensor(x)
    batch, channels, height, width = tensor.shape
    sides = height // block, width // block
    if attributes.text("mode", "DCR") == "CRD":
        return F.pixel_unshuffle(tensor, block)
    parts = tensor.reshape(batch, channels, sides[0], block, sides[1], block)
    return parts.permute(0, 3, 5, 1, 2, 4).reshape(batch, channels * block**2, *sides)


OPERATORS: Mapping[str, Operator] = {
    "DepthToSpace": depth_to_space,
    "Resize": resize,
    "SpaceToDepth": space_to_depth,
    "Upsample": upsample,
}
