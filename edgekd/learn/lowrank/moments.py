"""Moments of the inputs and outputs of layers on calibration data, in sums of bounded size."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.learn.arrays import Calibration
from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank.chain import PlainLayer

BATCH = 32
PLACES = 64
"""Most places (pixels, tokens) of one sample that count; drawn anew for each batch."""
MOST_BYTES = 2**30
"""Of all sums that are kept at once; more layers take more passes over the data."""


def second_moments(
    model: nn.Module, parts: dict[str, PlainLayer], data: Calibration
) -> Iterator[tuple[str, Tensor]]:
    """E[x x^T] [I kh kw, I kh kw] of the patches each layer sees, float64; layer by layer.

    Args:
        model: in evaluation mode.
        parts: the layers, by path.
        data: what is shown to it.

    Raises:
        InputError: if a layer sees what is no finite number; names it.
    """
    for group in _groups(parts):
        sums: dict[str, Tensor] = {}
        rows = dict.fromkeys(group, 0)
        for seen in _shown(model, dict.fromkeys(group, _input), data):
            for path, x in zip(group, seen, strict=True):
                part = parts[path]
                patches = unfold_patches(
                    part, x, draw_places(x, part, data.seed + rows[path])
                ).double()
                product = patches.T @ patches
                sums[path] = sums[path].add_(product) if path in sums else product
                rows[path] += len(patches)
        for path in group:
            yield path, _finite(sums.pop(path) / rows[path], path)


def _input(x: Tensor, y: Tensor) -> Tensor:
    return x


def _finite(moments: Tensor, path: str) -> Tensor:
    if not moments.isfinite().all():
        raise InputError(f"{path}: got numbers that are not finite on calibration data")
    return moments.cpu()


def regression_moments(
    dense: nn.Module,
    path: str,
    model: nn.Module,
    data: Calibration,
) -> tuple[Tensor, Tensor]:
    """Return the moments of the last factor's regression: E[z z^T] [F, F] and E[y z^T] [O, F].

    z are the patches that the last factor at `path` of `model` sees, y is what the layer at `path`
    of `dense` answers to the same images, its bias left out.
    """
    old, new = dense.get_submodule(path), model.get_submodule(path)
    assert isinstance(old, nn.Conv2d | nn.Linear) and isinstance(new, nn.Sequential)
    last, name = chain.describe_layer(new[-1]), f"{path}.{len(new) - 1}"
    squares: Tensor | float = 0.0
    products: Tensor | float = 0.0
    rows = 0
    says = _shown(dense, {path: lambda _, y: _rows(_without_bias(old, y))}, data)
    sees = _shown(model, {name: _input}, data)
    for (y,), (x,) in zip(says, sees, strict=True):
        places = draw_places(x, last, data.seed + rows)
        z = unfold_patches(last, x, places).double()
        squares = squares + z.T @ z
        products = products + y[:, places].flatten(0, 1).double().T @ z
        rows += len(z)
    assert isinstance(squares, Tensor) and isinstance(products, Tensor)
    return _finite(squares / rows, path), _finite(products / rows, path)


def unfold_patches(part: PlainLayer, x: Tensor, places: Tensor) -> Tensor:
    """Return the patches [B * places, I kh kw] of `x` that a layer reads for some of its outputs."""
    if part.kernel is None:
        return _rows(x)[:, places].flatten(0, 1)
    (top, bottom), (left, right) = chain.padding_sizes(part)
    padded = F.pad(x, (left, right, top, bottom))
    patches = F.unfold(padded, part.kernel, part.dilation, 0, part.stride)
    return patches[:, :, places].transpose(1, 2).flatten(0, 1)


def draw_places(x: Tensor, part: PlainLayer, seed: int) -> Tensor:
    """Draw at most `PLACES` of a layer's outputs for `x`, numbered row by row."""
    if part.kernel is None:
        count = int(np.prod(x.shape[1:-1]))
    else:
        count = int(np.prod(chain.output_shape(part, x.shape[1:])[1:]))
    if count <= PLACES:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))[:PLACES]


def _rows(values: Tensor) -> Tensor:
    """[B, places, channels] of [B, .., channels]."""
    return values.reshape(len(values), -1, values.shape[-1])


def _without_bias(layer: nn.Conv2d | nn.Linear, y: Tensor) -> Tensor:
    """[B, places, O], as a layer without bias would answer."""
    channels_last = y if isinstance(layer, nn.Linear) else y.permute(0, 2, 3, 1)
    return channels_last if layer.bias is None else channels_last - layer.bias


Take = Callable[[Tensor, Tensor], Tensor]
"""What is kept of a layer's input and output."""


def _shown(model: nn.Module, takes: dict[str, Take], data: Calibration) -> Iterator[list[Tensor]]:
    """For each batch, what was taken at each path."""
    where = next(model.parameters()).device
    for inputs, _ in data.batches(BATCH):
        kept: dict[str, Tensor] = {}
        with _hooked(model, takes, kept), torch.no_grad():
            model(*(torch.from_numpy(each).to(where) for each in inputs))
        yield [kept[path] for path in takes]


@contextmanager
def _hooked(model: nn.Module, takes: dict[str, Take], kept: dict[str, Tensor]) -> Iterator[None]:
    hooks = []
    for path, take in takes.items():
        keep = functools.partial(_keep, kept, path, take)
        hooks.append(model.get_submodule(path).register_forward_hook(keep))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _keep(
    kept: dict[str, Tensor], path: str, take: Take, _: nn.Module, given: tuple[Tensor], y: Tensor
) -> None:
    kept[path] = take(given[0], y).clone()  # what follows may work in place


def _groups(parts: dict[str, PlainLayer]) -> Iterator[Sequence[str]]:
    """Paths whose sums fit into memory together; one that fits nowhere stands alone."""
    group: list[str] = []
    held = 0
    for path, part in parts.items():
        size_bytes = 8 * (part.inputs * part.taps) ** 2
        if group and held + size_bytes > MOST_BYTES:
            yield group
            group, held = [], 0
        group.append(path)
        held += size_bytes
    if group:
        yield group
