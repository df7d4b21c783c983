"""What moves values, picks among them or tells of shapes."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.onnx_import.values import DTYPES
from edgekd.learn.onnx_import.values import Attributes
from edgekd.learn.onnx_import.values import Operator
from edgekd.learn.onnx_import.values import Value
from edgekd.learn.onnx_import.values import are_known
from edgekd.learn.onnx_import.values import as_number
from edgekd.learn.onnx_import.values import as_sizes
from edgekd.learn.onnx_import.values import as_tensor
from edgekd.learn.onnx_import.values import axes_of
from edgekd.learn.onnx_import.values import of_sizes

PADDINGS = {"constant": "constant", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


def reshape(attributes: Attributes, x: Value, shape: Value | None = None) -> Value:
    """To other sizes; 0 keeps one, -1 is what is left."""
    goal = as_sizes(shape) if shape is not None else attributes.wholes("shape") or []
    if not attributes.whole("allowzero"):
        goal = [x.shape[at] if is_zero(size) else size for at, size in enumerate(goal)]
    return x.reshape(goal)


def is_zero(size: object) -> bool:
    """Return whether a size is a plain 0; a free one is none."""
    return isinstance(size, int) and size == 0


def flatten(attributes: Attributes, x: Value) -> Tensor:
    """To two axes."""
    tensor, axis = as_tensor(x), attributes.whole("axis", 1)
    axis = axis % tensor.dim() if axis < 0 else axis
    if axis == 1:
        return tensor.flatten(1) if tensor.dim() > 1 else tensor.reshape(-1, 1)
    rows = functools.reduce(operator.mul, tensor.shape[:axis], 1)
    return tensor.reshape(rows, -1)


def transpose(attributes: Attributes, x: Value) -> Value:
    """Axes in another order, the reverse where none is said."""
    order = attributes.wholes("perm") or list(range(x.ndim))[::-1]
    return x.permute(order) if isinstance(x, Tensor) else x.transpose(order)


def squeeze(attributes: Attributes, x: Value, given: Value | None = None) -> Value:
    """Without axes of size 1."""
    axes = axes_of(attributes, given)
    if isinstance(x, np.ndarray):
        return x.squeeze(tuple(axes) if axes else None)
    if not axes:
        return x.squeeze()
    return x.squeeze(axes[0]) if len(axes) == 1 else x.squeeze(axes)


def unsqueeze(attributes: Attributes, x: Value, given: Value | None = None) -> Value:
    """With axes of size 1 more."""
    axes = axes_of(attributes, given) or []
    whole = x.ndim + len(axes)
    for axis in sorted(axis % whole for axis in axes):
        x = x.unsqueeze(axis) if isinstance(x, Tensor) else np.expand_dims(x, axis)
    return x


def concat(attributes: Attributes, *given: Value) -> Value:
    """One behind the other along an axis."""
    axis = attributes.whole("axis")
    if are_known(*given):
        return np.concatenate(given, axis)
    return torch.cat([as_tensor(each) for each in given], axis)


def split(attributes: Attributes, x: Value, sizes: Value | None = None) -> tuple[Value, ...]:
    """Parts along an axis, of the sizes that are said or all alike."""
    axis = attributes.whole("axis")
    said = as_sizes(sizes) if sizes is not None else attributes.wholes("split")
    if not said:
        parts = attributes.whole("num_outputs") or attributes.whole("edgekd_outputs", 1)
        each = -(-x.shape[axis] // parts)
        said = [each] * (parts - 1) + [x.shape[axis] - each * (parts - 1)]
    if isinstance(x, Tensor):
        return tuple(x.split(said, axis))
    return tuple(np.split(x, np.cumsum(said)[:-1].tolist(), axis))


def slice_axes(
    attributes: Attributes,
    x: Value,
    starts: Value | None = None,
    ends: Value | None = None,
    axes: Value | None = None,
    steps: Value | None = None,
) -> Value:
    """A part of some axes."""
    firsts = as_sizes(starts) if starts is not None else attributes.wholes("starts") or []
    lasts = as_sizes(ends) if ends is not None else attributes.wholes("ends") or []
    along = axes_of(attributes, axes) or list(range(len(firsts)))
    strides = as_sizes(steps) if steps is not None else [1] * len(firsts)
    for first, last, axis, stride in zip(firsts, lasts, along, strides, strict=True):
        x = _slice_axis(x, axis % x.ndim, first, last, stride)
    return x


def _slice_axis(x: Value, axis: int, first: int, last: int, stride: int) -> Value:
    far = isinstance(last, int) and abs(last) >= 2**31 - 1
    end = (0 if last < 0 < stride else None) if far else last
    index: list[Any] = [slice(None)] * x.ndim
    if stride > 0 or isinstance(x, np.ndarray):
        index[axis] = slice(first, end, stride)
        return x[tuple(index)]
    size = x.shape[axis]
    start = first + size if first < 0 else min(first, size - 1)
    stop = -1 if end is None else (end + size if end < 0 else end)
    turned = x.flip(axis)
    index[axis] = slice(size - 1 - start, size - 1 - stop, -stride)
    return turned[tuple(index)]


def gather(attributes: Attributes, x: Value, indices: Value) -> Value:
    """Entries along an axis."""
    axis = attributes.whole("axis") % max(x.ndim, 1)
    if are_known(x, indices):
        return np.asarray(np.take(x, np.asarray(indices, np.int64), axis))
    tensor = as_tensor(x)
    if isinstance(indices, np.ndarray) and indices.size == 1:
        number = as_sizes(indices)[0]
        picked = tensor.select(axis, number)
        return (
            picked
            if indices.ndim == 0
            else picked.reshape(*tensor.shape[:axis], *indices.shape, *tensor.shape[axis + 1 :])
        )
    at = as_tensor(indices).long()
    if axis == 0 and isinstance(indices, Tensor) and tensor.dim() == 2:
        return F.embedding(torch.where(at < 0, at + tensor.shape[0], at), tensor)
    at = torch.where(at < 0, at + tensor.shape[axis], at)
    found = tensor.index_select(axis, at.reshape(-1))
    return found.reshape(*tensor.shape[:axis], *at.shape, *tensor.shape[axis + 1 :])


def gather_elements(attributes: Attributes, x: Value, indices: Value) -> Tensor:
    """The entry at each place's own index."""
    tensor, at, axis = as_tensor(x), as_tensor(indices).long(), attributes.whole("axis")
    return tensor.gather(axis, torch.where(at < 0, at + tensor.shape[axis], at))


def expand(attributes: Attributes, x: Value, shape: Value) -> Value:
    """Repeated along axes of size 1."""
    goal = as_sizes(shape)
    if isinstance(x, np.ndarray) and all(isinstance(size, int) for size in goal):
        return np.broadcast_to(x, np.broadcast_shapes(x.shape, goal))
    tensor = as_tensor(x)
    more = len(goal) - tensor.dim()
    own = [*[1] * more, *tensor.shape] if more > 0 else list(tensor.shape)
    goal = [*[1] * -more, *goal] if more < 0 else goal
    sizes = [
        mine if isinstance(size, int) and size == 1 else size
        for mine, size in zip(own, goal, strict=True)
    ]
    return tensor.expand(sizes)


def tile(attributes: Attributes, x: Value, counts: Value) -> Value:
    """Repeated as a whole along each axis."""
    times = as_sizes(counts)
    return np.tile(x, times) if isinstance(x, np.ndarray) else x.repeat(times)


def shape_of(attributes: Attributes, x: Value) -> Value:
    """Its sizes."""
    end = attributes.words.get("end")
    return of_sizes(list(x.shape)[attributes.whole("start") : end])


def size_of(attributes: Attributes, x: Value) -> Value:
    """How many values it has."""
    return of_sizes([functools.reduce(operator.mul, x.shape, 1)])[0:1].reshape(())


def constant_of_shape(attributes: Attributes, shape: Value) -> Value:
    """One number everywhere."""
    dtype, number = attributes.words.get("value", ["float32", 0.0])
    sizes = as_sizes(shape)
    if all(isinstance(size, int) for size in sizes):
        return np.full(sizes, number, dtype)
    return torch.full(sizes, number, dtype=getattr(torch, dtype))


def number_range(attributes: Attributes, start: Value, limit: Value, step: Value) -> Value:
    """Numbers from one to another."""
    (first,), (last,), (stride,) = (
        np.asarray(each).ravel().tolist() for each in (start, limit, step)
    )
    if all(isinstance(each, int | float) for each in (first, last, stride)):
        return np.arange(first, last, stride).astype(np.asarray(start).dtype)
    return torch.arange(first, last, stride)


def pad(
    attributes: Attributes,
    x: Value,
    pads: Value | None = None,
    filling: Value | None = None,
    axes: Value | None = None,
) -> Tensor:
    """More values around."""
    tensor = as_tensor(x)
    ends = as_sizes(pads) if pads is not None else attributes.wholes("pads") or []
    along = as_sizes(axes) if axes is not None else list(range(len(ends) // 2))
    both = {axis % tensor.dim(): (ends[at], ends[at + len(along)]) for at, axis in enumerate(along)}
    mode = PADDINGS[attributes.text("mode", "constant")]
    first = min((axis for axis, pair in both.items() if any(pair)), default=tensor.dim())
    listed = [
        end for axis in range(tensor.dim() - 1, first - 1, -1) for end in both.get(axis, (0, 0))
    ]
    if not listed:
        return tensor
    if mode == "constant":
        number = as_number(filling, attributes.real("value", 0.0))
        return F.pad(tensor, listed, value=number)
    if tensor.dim() == 2:
        return F.pad(tensor[None], listed, mode=mode)[0]
    return F.pad(tensor, listed, mode=mode)


def lower_or_upper(attributes: Attributes, x: Value, diagonal: Value | None = None) -> Tensor:
    """A matrix with zeros beside its triangle."""
    at = int(as_number(diagonal, 0))
    tensor = as_tensor(x)
    return tensor.triu(at) if attributes.whole("upper", 1) else tensor.tril(at)


def one_hot(attributes: Attributes, indices: Value, depth: Value, values: Value) -> Tensor:
    """A row of numbers of which one is another."""
    (count,), (off, on) = as_sizes(depth), np.asarray(values).tolist()
    at, axis = as_tensor(indices).long(), attributes.whole("axis", -1)
    flags = F.one_hot(torch.where(at < 0, at + count, at), count)
    found = flags * (on - off) + off
    return found.movedim(-1, axis).to(torch.from_numpy(np.asarray(values)).dtype)


def constant(attributes: Attributes) -> Value:
    """A number or a list of them; tensors are among the graph's constants."""
    for name, dtype in (
        ("value_int", np.int64),
        ("value_ints", np.int64),
        ("value_float", np.float32),
        ("value_floats", np.float32),
    ):
        if name in attributes.words:
            return np.array(attributes.words[name], dtype)
    raise ValueError("holds no number")


def cast_like(attributes: Attributes, x: Value, other: Value) -> Value:
    """To another value's type."""
    dtype = as_tensor(other).dtype
    if dtype not in DTYPES.values():
        raise ValueError(f"casts to {dtype}, which has no form here")
    return as_tensor(x).to(dtype)


OPERATORS: Mapping[str, Operator] = {
    "CastLike": cast_like,
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "OneHot": one_hot,
    "Pad": pad,
    "Range": number_range,
    "Reshape": reshape,
    "Shape": shape_of,
    "Size": size_of,
    "Slice": slice_axes,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Trilu": lower_or_upper,
    "Unsqueeze": unsqueeze,
}
