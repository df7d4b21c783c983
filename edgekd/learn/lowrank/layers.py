"""Which layers of a model could be split, how often each runs and on what; and why the rest cannot."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.learn.forward_pass import run_once
from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank.chain import PlainLayer

SMALLEST = 64
"""Channels in and out below which a layer is left alone, where the recipe does not say another."""
KINDS = (nn.Conv2d, nn.Linear, nn.Conv1d, nn.Conv3d, nn.ConvTranspose2d)


class LayerUse(NamedTuple):
    """A layer with a weight matrix or kernel, its input's shape, and why it cannot be split."""

    path: str
    """Of the module."""
    part: PlainLayer | None
    """None where it is no plain layer."""
    shape: tuple[int, ...]
    """Of one input, without the batch: [I, H, W] or [.., I]."""
    reason: str
    """Why it is left alone; empty if it may be split."""


def find_layers(model: nn.Module, *inputs: Tensor, smallest: int = SMALLEST) -> list[LayerUse]:
    """List every layer with a weight matrix or kernel, in the order in which they first run.

    Args:
        model: is run once, in evaluation mode.
        inputs: what it takes, each [B, ...].
        smallest: channels in and out from which a layer counts.
    """
    shapes, calls = _watched(model, inputs)
    weights = Counter(id(p) for m in model.modules() for p in m.parameters(recurse=False))
    by_path = {path: m for path, m in model.named_modules() if isinstance(m, KINDS) and path}
    ordered = [*(p for p in shapes if p in by_path), *(p for p in by_path if p not in shapes)]
    found = []
    for path in ordered:
        layer, shape = by_path[path], shapes.get(path, ())
        plain = type(layer) in (nn.Conv2d, nn.Linear) and getattr(layer, "groups", 1) == 1
        part = chain.describe_layer(layer) if plain else None
        reason = _kind(layer) or _use(calls[path], weights[id(layer.weight)])
        if not reason and path == ordered[0] and isinstance(layer, nn.Conv2d):
            reason = "the first convolution: what it loses, all layers lose"
        if not reason and part is not None and min(part.inputs, part.outputs) < smallest:
            reason = f"{part.inputs} channels in and {part.outputs} out, want at least {smallest}"
        found.append(LayerUse(path, part, shape, reason))
    return found


def _watched(
    model: nn.Module, inputs: tuple[Tensor, ...]
) -> tuple[dict[str, tuple[int, ...]], Counter[str]]:
    """Input shape of each module that was called, in the order of first calls; how often each was."""
    shapes: dict[str, tuple[int, ...]] = {}
    calls: Counter[str] = Counter()

    def seen(path: str, given: tuple[object, ...]) -> None:
        calls[path] += 1
        if given and isinstance(given[0], Tensor):
            shapes.setdefault(path, tuple(given[0].shape[1:]))

    hooks = [
        module.register_forward_pre_hook(lambda _m, given, path=path: seen(path, given))
        for path, module in model.named_modules()
    ]
    try:
        run_once(model, *inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes, calls


def _kind(layer: nn.Module) -> str:
    """Why a layer of this kind is left alone; empty if it is a plain one."""
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        wide = layer.groups == layer.in_channels
        return "depthwise" if wide else f"a convolution of {layer.groups} groups"
    if type(layer) not in (nn.Conv2d, nn.Linear):
        return f"{type(layer).__name__} is neither a plain Conv2d nor a plain Linear"
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        return f"its padding is {layer.padding_mode}, not zeros"
    return ""


def _use(calls: int, holders: int) -> str:
    """Why a layer that is called and held so often is left alone."""
    if holders > 1:
        return "it shares its weight with another layer"
    if calls != 1:
        return f"it is called {calls} times in one inference, want once"
    return ""
