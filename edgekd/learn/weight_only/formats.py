"""What a block of weights is, and which layers of a model are stored in which blocks."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.forward_pass import run_once
from edgekd.learn.model_inputs import Inputs

GROUPS = (16, 32, 64, 128, 256)
"""Sizes of blocks that ``com.microsoft::MatMulNBits`` takes, and at most what engines have kernels for."""
Storage = Literal["int4", "int8", "float"]
BITS: dict[Storage, int] = {"int4": 4, "int8": 8}


class BlockFormat(NamedTuple):
    """How the weights [N, K] of a layer are stored: codes, and a scale each `group` of them along K."""

    bits: int
    """4 or 8."""
    group: int
    """One of `GROUPS`; it divides K."""
    symmetric: bool
    """Whether the code in the middle is 0 in every block; else a block has a zero-point of its own."""

    @property
    def high(self) -> int:
        """The largest code; the smallest is 0."""
        return int(2**self.bits - 1)

    @property
    def middle(self) -> int:
        """The zero-point of a symmetric block."""
        return int(2 ** (self.bits - 1))


class BlockChoice(NamedTuple):
    """Which storage a recipe asks for, by kind of layer."""

    weights: Storage
    group: int
    symmetric: bool
    head: Storage
    """Of the linear layer that runs last."""
    embeddings: Storage
    """Of tables that are looked up: int8 or float."""
    float_layers: Collection[str] = ()


class LayerPlan(NamedTuple):
    """The formats of a model's layers by module path, and what stays as it is."""

    formats: dict[str, BlockFormat]
    fallbacks: dict[str, int]
    """Layers with smaller blocks than were asked for, since those do not divide their inputs: the blocks they get."""
    in_float: dict[str, str]
    """Layers that stay float without being asked to, and why."""


def fit_group(width: int, group: int) -> int:
    """The largest of `GROUPS` up to `group` that divides `width`; 0 if none does."""
    return max((size for size in GROUPS if size <= group and width % size == 0), default=0)


def plan_layers(model: nn.Module, choice: BlockChoice, example: Inputs) -> LayerPlan:
    """Choose a format for every linear layer and table that runs on `example`.

    Raises:
        ValueError: if a float layer is none of those, or nothing is left to store in blocks.
    """
    layers = find_layers(model, example)
    unknown = [name for name in choice.float_layers if name not in layers]
    if unknown:
        known = ", ".join(layers)[:200]
        raise ValueError(f"float_layers: got {unknown[0]!r}, want linear layers or tables: {known}")
    linear = [name for name, layer in layers.items() if isinstance(layer, nn.Linear)]
    found = LayerPlan({}, {}, {})
    for name, layer in layers.items():
        table = isinstance(layer, nn.Embedding)
        last = bool(linear) and name == linear[-1]
        storage = choice.embeddings if table else choice.head if last else choice.weights
        if storage == "float" or name in choice.float_layers:
            continue
        width = layer.weight.shape[1]
        group = fit_group(width, choice.group)
        if not group:
            found.in_float[name] = f"none of {', '.join(map(str, GROUPS[:4]))} divides {width}"
            continue
        if group != choice.group:
            found.fallbacks[name] = group
        found.formats[name] = BlockFormat(
            BITS[storage], group, choice.symmetric or storage == "int8"
        )
    if not found.formats:
        raise ValueError("got no linear layer whose inputs a block divides, want at least one")
    return found


def find_layers(model: nn.Module, example: Inputs) -> dict[str, nn.Linear | nn.Embedding]:
    """The linear layers and tables that run, by module path, in the order of their first run.

    A layer whose weights another module multiplies by itself (`nn.MultiheadAttention`'s projection) does not run.
    """
    found: dict[str, nn.Linear | nn.Embedding] = {}
    hooks = []
    for name, module in model.named_modules():
        if type(module) is nn.Linear or (type(module) is nn.Embedding and module.max_norm is None):

            def note(layer: nn.Module, _taken: object, name: str = name) -> None:
                found.setdefault(name, layer)

            hooks.append(module.register_forward_pre_hook(note))
    try:
        as_tuple(run_once(model, *example))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def split_blocks(weight: Tensor, group: int) -> Tensor:
    """Weights [N, K] as blocks [N, K / group, group]."""
    return weight.unflatten(1, (-1, group))


def round_blocks(blocks: Tensor, scale: Tensor, zero: Tensor | float, high: int) -> Tensor:
    """Codes [..., group], as floats in [0, high], of `blocks`; ties to even. `scale` and `zero` [..., 1]."""
    return torch.div(blocks, scale).round_().add_(zero).clamp_(0, high)
