"""Layers: what multiplies by weights, and what normalizes."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.onnx_import.values import Attributes
from edgekd.learn.onnx_import.values import Operator
from edgekd.learn.onnx_import.values import Value
from edgekd.learn.onnx_import.values import as_tensor
from edgekd.learn.onnx_import.values import operand

EPSILON = 1e-5
LINEAR = "Linear"
"""The importer's own name of a layer whose weights [O, I] are as torch has them."""
_CONVOLUTIONS: Mapping[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: Mapping[int, Any] = {
    1: F.conv_transpose1d,
    2: F.conv_transpose2d,
    3: F.conv_transpose3d,
}


def pad_ends(
    attributes: Attributes,
    x: Tensor,
    kernel: Sequence[int],
    steps: Sequence[int],
    spread: Sequence[int],
) -> tuple[list[int], list[int]]:
    """The padding at the beginning and at the end of each axis that a kernel moves along."""
    axes = len(kernel)
    word = attributes.text("auto_pad", "NOTSET")
    if word == "VALID":
        return [0] * axes, [0] * axes
    if word.startswith("SAME"):
        firsts, lasts = [], []
        for size, width, step, gap in zip(x.shape[2:], kernel, steps, spread, strict=True):
            total = (-(-size // step) - 1) * step + (width - 1) * gap + 1 - size
            total = max(total, 0) if isinstance(total, int) else torch.sym_max(total, 0)
            less = total // 2
            more = total - less
            firsts.append(less if word == "SAME_UPPER" else more)
            lasts.append(more if word == "SAME_UPPER" else less)
        return firsts, lasts
    pads = attributes.wholes("pads") or [0] * (2 * axes)
    return pads[:axes], pads[axes:]


def widen(x: Tensor, firsts: Sequence[int], lasts: Sequence[int], filling: float = 0.0) -> Tensor:
    """Put `filling` around the last axes."""
    ends = [end for pair in zip(reversed(firsts), reversed(lasts), strict=True) for end in pair]
    return F.pad(x, ends, value=filling)


def convolve(attributes: Attributes, x: Value, weight: Value, bias: Value | None = None) -> Tensor:
    """[B, C, ...] to [B, O, ...]; a padding whose ends differ is added first."""
    tensor, kernel = as_tensor(x), as_tensor(weight)
    axes = kernel.dim() - 2
    ones = [1] * axes
    steps, spread = attributes.wholes("strides") or ones, attributes.wholes("dilations") or ones
    firsts, lasts = pad_ends(attributes, tensor, kernel.shape[2:], steps, spread)
    if firsts != lasts:
        tensor, firsts = widen(tensor, firsts, lasts), [0] * axes
    added = None if bias is None else as_tensor(bias)
    groups = attributes.whole("group", 1)
    found: Tensor = _CONVOLUTIONS[axes](tensor, kernel, added, steps, firsts, spread, groups)
    return found


def convolve_transposed(
    attributes: Attributes, x: Value, weight: Value, bias: Value | None = None
) -> Tensor:
    """The gradient of a convolution, as a layer."""
    tensor, kernel = as_tensor(x), as_tensor(weight)
    axes = kernel.dim() - 2
    ones, zeros = [1] * axes, [0] * axes
    if attributes.wholes("output_shape") is not None:
        raise ValueError("says its output's size, want its padding")
    word = attributes.text("auto_pad", "NOTSET")
    steps, spread = attributes.wholes("strides") or ones, attributes.wholes("dilations") or ones
    more = attributes.wholes("output_padding") or zeros
    pads = attributes.wholes("pads") or zeros * 2
    if word.startswith("SAME"):
        raise ValueError(f"has auto_pad {word}, want its padding in numbers")
    firsts, lasts = pads[:axes], pads[axes:]
    added = None if bias is None else as_tensor(bias)
    call = _TRANSPOSED[axes]
    groups = attributes.whole("group", 1)
    if firsts == lasts:
        found: Tensor = call(tensor, kernel, added, steps, firsts, more, groups, spread)
        return found
    found = call(tensor, kernel, added, steps, zeros, more, groups, spread)
    for axis, (first, last) in enumerate(zip(firsts, lasts, strict=True), start=2):
        found = found.narrow(axis, first, found.shape[axis] - first - last)
    return found


def linear(attributes: Attributes, x: Value, weight: Value, bias: Value | None = None) -> Tensor:
    """[..., I] to [..., O]."""
    return F.linear(as_tensor(x), as_tensor(weight), None if bias is None else as_tensor(bias))


def multiply_matrices(attributes: Attributes, a: Value, b: Value) -> Tensor:
    """The product of the last two axes."""
    return torch.matmul(as_tensor(a), as_tensor(b))


def gemm(attributes: Attributes, a: Value, b: Value, c: Value | None = None) -> Tensor:
    """``alpha a b + beta c``, either one turned."""
    one, other = as_tensor(a), as_tensor(b)
    one = one.T if attributes.whole("transA") else one
    other = other.T if attributes.whole("transB") else other
    found = one @ other
    alpha, beta = attributes.real("alpha", 1.0), attributes.real("beta", 1.0)
    found = found if alpha == 1 else alpha * found
    if c is None:
        return found
    added = operand(c, found)
    return found + (added if beta == 1 else beta * added)


def einsum(attributes: Attributes, *given: Value) -> Tensor:
    """A sum of products by its formula."""
    return torch.einsum(attributes.text("equation"), *map(as_tensor, given))


def batch_norm(
    attributes: Attributes, x: Value, scale: Value, bias: Value, mean: Value, variance: Value
) -> Tensor:
    """With the statistics of the training."""
    if attributes.whole("training_mode"):
        raise ValueError("normalizes by the batch it is given, want it in evaluation mode")
    learned = as_tensor(mean), as_tensor(variance), as_tensor(scale), as_tensor(bias)
    return F.batch_norm(as_tensor(x), *learned, False, eps=attributes.real("epsilon", EPSILON))


def layer_norm(attributes: Attributes, x: Value, scale: Value, bias: Value | None = None) -> Tensor:
    """Over the axes from one on."""
    tensor, weight = as_tensor(x), as_tensor(scale)
    axis = attributes.whole("axis", -1) % tensor.dim()
    sizes = list(tensor.shape[axis:])
    added = None if bias is None else as_tensor(bias)
    epsilon = attributes.real("epsilon", EPSILON)
    if list(weight.shape) != sizes:
        found = F.layer_norm(tensor, sizes, None, None, epsilon) * weight
        return found if added is None else found + added
    return F.layer_norm(tensor, sizes, weight, added, epsilon)


def instance_norm(attributes: Attributes, x: Value, scale: Value, bias: Value) -> Tensor:
    """Over each channel of each sample."""
    given = as_tensor(x), None, None, as_tensor(scale), as_tensor(bias)
    return F.instance_norm(*given, eps=attributes.real("epsilon", EPSILON))


def group_norm(attributes: Attributes, x: Value, scale: Value, bias: Value) -> Tensor:
    """Over groups of channels of each sample; scale and bias one a channel."""
    tensor, groups = as_tensor(x), attributes.whole("num_groups", 1)
    weight, added = as_tensor(scale), as_tensor(bias)
    if attributes.opset < 21:  # one a group
        each = tensor.shape[1] // groups
        weight, added = weight.repeat_interleave(each), added.repeat_interleave(each)
    return F.group_norm(tensor, groups, weight, added, attributes.real("epsilon", EPSILON))


def lp_norm(attributes: Attributes, x: Value) -> Tensor:
    """Values over their norm along an axis."""
    return F.normalize(
        as_tensor(x), attributes.whole("p", 2), attributes.whole("axis", -1), eps=1e-30
    )


OPERATORS: Mapping[str, Operator] = {
    "BatchNormalization": batch_norm,
    "Conv": convolve,
    "ConvTranspose": convolve_transposed,
    "Einsum": einsum,
    "Gemm": gemm,
    "GroupNormalization": group_norm,
    "InstanceNormalization": instance_norm,
    "LayerNormalization": layer_norm,
    LINEAR: linear,
    "LpNormalization": lp_norm,
    "MatMul": multiply_matrices,
}
