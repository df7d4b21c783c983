"""What makes fewer values of many: sums over axes, and pools."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.onnx_import.operators.layers import pad_ends
from edgekd.learn.onnx_import.operators.layers import widen
from edgekd.learn.onnx_import.values import Attributes
from edgekd.learn.onnx_import.values import Operator
from edgekd.learn.onnx_import.values import Value
from edgekd.learn.onnx_import.values import as_sizes
from edgekd.learn.onnx_import.values import as_tensor
from edgekd.learn.onnx_import.values import axes_of

_MAXIMA: Mapping[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_MEANS: Mapping[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _reduction(
    of_tensors: Callable[[Tensor, list[int], bool], Tensor],
    of_arrays: Callable[..., Any] | None = None,
) -> Operator:
    def apply(attributes: Attributes, x: Value, given: Value | None = None) -> Value:
        axes = axes_of(attributes, given)
        keeps = bool(attributes.whole("keepdims", 1))
        if not axes and attributes.whole("noop_with_empty_axes"):
            return x
        if isinstance(x, np.ndarray) and of_arrays is not None:
            return np.asarray(of_arrays(x, axis=tuple(axes) if axes else None, keepdims=keeps))
        tensor = as_tensor(x)
        return of_tensors(tensor, axes or list(range(tensor.dim())), keeps)

    return apply


def _product(x: Tensor, axes: list[int], keeps: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keeps)
    return x


def _position(of_tensors: Callable[..., Tensor]) -> Operator:
    def apply(attributes: Attributes, x: Value) -> Tensor:
        if attributes.whole("select_last_index"):
            raise ValueError("gives the last of equal places, want the first")
        return of_tensors(
            as_tensor(x), attributes.whole("axis"), keepdim=bool(attributes.whole("keepdims", 1))
        )

    return apply


def _window(attributes: Attributes, x: Tensor) -> tuple[list[int], list[int], list[int]]:
    """A pool's kernel, its steps, and how far apart it looks."""
    kernel = attributes.wholes("kernel_shape") or []
    ones = [1] * len(kernel)
    return kernel, attributes.wholes("strides") or ones, attributes.wholes("dilations") or ones


def max_pool(attributes: Attributes, x: Value) -> Tensor:
    """The largest in each window."""
    tensor = as_tensor(x)
    kernel, steps, spread = _window(attributes, tensor)
    firsts, lasts = pad_ends(attributes, tensor, kernel, steps, spread)
    if firsts != lasts or _is_wide(firsts, kernel):
        _require_whole_windows(attributes, kernel, steps, spread, lasts)
        tensor, firsts = widen(tensor, firsts, lasts, float("-inf")), [0] * len(kernel)
    rounds_up = bool(attributes.whole("ceil_mode"))
    found: Tensor = _MAXIMA[len(kernel)](tensor, kernel, steps, firsts, spread, rounds_up)
    return found


def _is_wide(pads: Sequence[int], kernel: Sequence[int]) -> bool:
    """Whether a padding is more than half of its kernel, which torch's pools do not take."""
    return any(2 * pad > size for pad, size in zip(pads, kernel, strict=True))


def _require_whole_windows(
    attributes: Attributes,
    kernel: Sequence[int],
    steps: Sequence[int],
    spread: Sequence[int],
    lasts: Sequence[int],
) -> None:
    """Raises ValueError if a size is rounded up and a window may begin in the padding behind, where it does not count."""
    spans = [(width - 1) * gap + 1 for width, gap in zip(kernel, spread, strict=True)]
    beyond = any(end + step > span for end, step, span in zip(lasts, steps, spans, strict=True))
    if attributes.whole("ceil_mode") and beyond:
        raise ValueError("rounds its size up behind a padding that is added first")


def average_pool(attributes: Attributes, x: Value) -> Tensor:
    """The mean of each window; of what lies in the image alone, unless the padding counts."""
    tensor = as_tensor(x)
    kernel, steps, spread = _window(attributes, tensor)
    if any(gap != 1 for gap in spread):
        raise ValueError("is a mean over places that lie apart, which has no form here")
    firsts, lasts = pad_ends(attributes, tensor, kernel, steps, spread)
    counts, rounds_up = (
        bool(attributes.whole("count_include_pad")),
        bool(attributes.whole("ceil_mode")),
    )
    call = _MEANS[len(kernel)]
    if firsts != lasts or _is_wide(firsts, kernel):
        _require_whole_windows(attributes, kernel, steps, spread, lasts)
        wide = widen(tensor, firsts, lasts)
        found: Tensor = call(wide, kernel, steps, 0, rounds_up)
        if counts:
            return found
        ones = widen(torch.ones_like(tensor[:1, :1]), firsts, lasts)
        return found / call(ones, kernel, steps, 0, rounds_up)
    found = call(tensor, kernel, steps, firsts, rounds_up, counts)
    assert isinstance(found, Tensor)
    return found


def global_average_pool(attributes: Attributes, x: Value) -> Tensor:
    """The mean of each channel."""
    tensor = as_tensor(x)
    if tensor.dim() == 4:
        return F.adaptive_avg_pool2d(tensor, [1, 1])
    return tensor.mean(_sides(tensor), keepdim=True)


def global_max_pool(attributes: Attributes, x: Value) -> Tensor:
    """The largest of each channel."""
    tensor = as_tensor(x)
    return tensor.amax(_sides(tensor), keepdim=True)


def _sides(x: Tensor) -> list[int]:
    return list(range(2, x.dim()))


def top_k(attributes: Attributes, x: Value, count: Value) -> tuple[Tensor, Tensor]:
    """The largest along an axis, and where they are."""
    (number,) = as_sizes(count)
    largest = bool(attributes.whole("largest", 1))
    axis = attributes.whole("axis", -1)
    tensor = as_tensor(x)
    values, places = torch.sort(
        tensor, dim=axis, descending=largest, stable=True
    )  # of equal ones the first
    return values.narrow(axis, 0, number), places.narrow(axis, 0, number)


OPERATORS: Mapping[str, Operator] = {
    "ArgMax": _position(torch.argmax),
    "ArgMin": _position(torch.argmin),
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "MaxPool": max_pool,
    "ReduceL1": _reduction(lambda x, axes, keeps: x.abs().sum(axes, keeps)),
    "ReduceL2": _reduction(lambda x, axes, keeps: x.square().sum(axes, keeps).sqrt()),
    "ReduceLogSum": _reduction(lambda x, axes, keeps: x.sum(axes, keeps).log()),
    "ReduceLogSumExp": _reduction(lambda x, axes, keeps: x.logsumexp(axes, keeps)),
    "ReduceMax": _reduction(lambda x, axes, keeps: x.amax(axes, keeps), np.max),
    "ReduceMean": _reduction(lambda x, axes, keeps: x.mean(axes, keeps)),
    "ReduceMin": _reduction(lambda x, axes, keeps: x.amin(axes, keeps), np.min),
    "ReduceProd": _reduction(_product, np.prod),
    "ReduceSum": _reduction(lambda x, axes, keeps: x.sum(axes, keeps), np.sum),
    "ReduceSumSquare": _reduction(lambda x, axes, keeps: x.square().sum(axes, keeps)),
    "TopK": top_k,
}
