"""A layer, and the chains of plain layers that may stand in its place.

A convolution [O, I, kh, kw] becomes, without anything nonlinear between its factors:

- ``svd`` (linear and 1x1): I -> r, r -> O;
- ``reshape``: the kernel I -> r, then 1x1 r -> O;
- ``spatial``: kh x 1 I -> r, then 1 x kw r -> O;
- ``tucker2``: 1x1 I -> s, the kernel s -> r, 1x1 r -> O (Kim et al. 2016, arXiv:1511.06530, fig. 1).

The bias stays in the last factor: a zero padded before it is then a zero of the dense layer too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import Literal
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

Structure = Literal["svd", "reshape", "spatial", "tucker2"]
Pair = tuple[int, int]
Padding = Pair | Literal["same", "valid"]


class PlainLayer(NamedTuple):
    """One plain layer, without its weights."""

    inputs: int
    outputs: int
    bias: bool
    kernel: Pair | None = None
    """Height and width; None for a linear layer."""
    stride: Pair = (1, 1)
    padding: Padding = (0, 0)
    dilation: Pair = (1, 1)

    @property
    def taps(self) -> int:
        """Weights from one input channel to one output channel."""
        return 1 if self.kernel is None else math.prod(self.kernel)

    @property
    def parameters(self) -> int:
        """Numbers it learns."""
        return self.inputs * self.outputs * self.taps + self.outputs * self.bias


Chain = tuple[PlainLayer, ...]


def describe_layer(layer: nn.Conv2d | nn.Linear) -> PlainLayer:
    """Describe `layer`; its groups are taken to be one."""
    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return PlainLayer(layer.in_features, layer.out_features, bias)
    kernel, stride, dilation = (_pair(v) for v in (layer.kernel_size, layer.stride, layer.dilation))
    padding: Padding = _pair(layer.padding) if isinstance(layer.padding, tuple) else layer.padding
    return PlainLayer(
        layer.in_channels, layer.out_channels, bias, kernel, stride, padding, dilation
    )


def split_layer(part: PlainLayer, structure: str, ranks: Sequence[int]) -> Chain:
    """Return the chain that replaces `part`.

    Args:
        part: the dense layer.
        structure: a `Structure`.
        ranks: one, or for ``tucker2`` two: after the first factor, before the last.

    Raises:
        ValueError: if the structure does not fit the layer, or a rank is out of range.
    """
    wanted = 2 if structure == "tucker2" else 1
    if len(ranks) != wanted:
        raise ValueError(f"{structure}: got {len(ranks)} ranks, want {wanted}")
    if (structure == "svd") != (part.taps == 1) or structure not in _SPLITS:
        raise ValueError(f"{structure}: does not fit a layer of kernel {part.kernel or 'none'}")
    for rank, most in zip(ranks, full_ranks(part, structure), strict=True):
        if not 1 <= rank <= most:
            raise ValueError(f"{structure}: got rank {rank}, want 1 to {most}")
    return _SPLITS[structure](part, *ranks)


def full_ranks(part: PlainLayer, structure: str) -> tuple[int, ...]:
    """The ranks at which nothing is lost."""
    inputs, outputs = part.inputs, part.outputs
    height, width = part.kernel or (1, 1)
    if structure == "tucker2":
        return inputs, outputs
    if structure == "spatial":
        return (min(inputs * height, outputs * width),)
    return (min(inputs * height * width, outputs),)


def _reshape(part: PlainLayer, rank: int) -> Chain:
    last = PlainLayer(rank, part.outputs, part.bias, (1, 1) if part.kernel else None)
    return part._replace(outputs=rank, bias=False), last


def _spatial(part: PlainLayer, rank: int) -> Chain:
    assert part.kernel is not None  # `split_layer` lets nothing else through
    (height, width), (down, across), (rows, columns) = part.kernel, part.stride, part.dilation
    first, last = part.padding, part.padding
    if isinstance(part.padding, tuple):
        first, last = (part.padding[0], 0), (0, part.padding[1])
    return (
        PlainLayer(part.inputs, rank, False, (height, 1), (down, 1), first, (rows, 1)),
        PlainLayer(rank, part.outputs, part.bias, (1, width), (1, across), last, (1, columns)),
    )


def _tucker2(part: PlainLayer, first: int, last: int) -> Chain:
    return (
        PlainLayer(part.inputs, first, False, (1, 1)),
        part._replace(inputs=first, outputs=last, bias=False),
        PlainLayer(last, part.outputs, part.bias, (1, 1)),
    )


_SPLITS: dict[str, Callable[..., Chain]] = {
    "svd": _reshape,
    "reshape": _reshape,
    "spatial": _spatial,
    "tucker2": _tucker2,
}


def count_parameters(chain: Chain) -> int:
    """Count the numbers that all layers of a chain learn."""
    return sum(part.parameters for part in chain)


def count_macs(chain: Chain, shape: Sequence[int]) -> int:
    """Count multiply-accumulates of one input of `shape` (no batch), biases left out."""
    total = 0
    for part in chain:
        shape = output_shape(part, shape)
        places = math.prod(shape[:-1]) if part.kernel is None else math.prod(shape[1:])
        total += part.inputs * part.outputs * part.taps * places
    return total


def output_shape(part: PlainLayer, shape: Sequence[int]) -> tuple[int, ...]:
    """Return what comes of one input of `shape`: [.., I] for a linear layer, [I, H, W] for a convolution."""
    if part.kernel is None:
        return (*shape[:-1], part.outputs)
    sides = [
        (side + sum(around) - step * (taps - 1) - 1) // stride + 1
        for side, around, step, taps, stride in zip(
            shape[1:], padding_sizes(part), part.dilation, part.kernel, part.stride, strict=True
        )
    ]
    return (part.outputs, *sides)


def padding_sizes(part: PlainLayer) -> tuple[Pair, Pair]:
    """Return the zeros before and after the rows, before and after the columns; as torch pads."""
    if isinstance(part.padding, tuple):
        down, across = part.padding
        return (down, down), (across, across)
    if part.padding == "valid" or part.kernel is None:
        return (0, 0), (0, 0)
    totals = [step * (taps - 1) for step, taps in zip(part.dilation, part.kernel, strict=True)]
    rows, columns = ((total // 2, total - total // 2) for total in totals)
    return rows, columns


def build_layer(part: PlainLayer) -> nn.Conv2d | nn.Linear:
    """Build a freshly initialised layer."""
    if part.kernel is None:
        return nn.Linear(part.inputs, part.outputs, bias=part.bias)
    return nn.Conv2d(
        part.inputs,
        part.outputs,
        part.kernel,
        part.stride,
        part.padding,
        part.dilation,
        bias=part.bias,
    )


def build_chain(chain: Chain, weights: Sequence[Tensor] | None = None) -> nn.Sequential:
    """Build the chain as plain layers; with `weights` ([O, I, kh, kw] each), its bias left at zero."""
    layers = nn.Sequential(*(build_layer(part) for part in chain))
    if weights is not None:
        with torch.no_grad():
            for layer, weight in zip(layers, weights, strict=True):
                layer.weight.copy_(weight.reshape(layer.weight.shape))
                if layer.bias is not None:
                    layer.bias.zero_()
    return layers


def replace_layer(model: nn.Module, path: str, layer: nn.Module) -> None:
    """Put `layer` at `path` of `model`, in the mode, place and arithmetic of what stood there."""
    parent, _, name = path.rpartition(".")
    old = model.get_submodule(path)
    like = next(old.parameters())
    layer.to(like.device, like.dtype).train(old.training)
    setattr(model.get_submodule(parent), name, layer)


def _pair(value: Sequence[int]) -> Pair:
    first, second = value
    return first, second
