"""Reads what the modules of a model give, by module path; the model needs nothing for it."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any
from typing import NamedTuple

from torch import Tensor
from torch import nn
from torch.utils.hooks import RemovableHandle

from edgekd.errors import find_nearest
from edgekd.learn.forward_pass import run_once
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.parallel.sharing import gather_batch
from edgekd.learn.transformer_parts import SCORES
from edgekd.learn.transformer_parts import count_heads
from edgekd.learn.transformer_parts import find_projections

INPUT = ":input"
"""After a module's path: what goes into it, not what comes out."""


class TapPoint(NamedTuple):
    """A place where something can be read."""

    place: str
    """A module's path, with `INPUT` where its input is meant."""
    shape: tuple[int, ...]
    """Batch first."""
    module: nn.Module


class Taps:
    """While open, keeps the last tensor that passed each of its places, in float32 at least.

    Raises:
        ValueError: if the model has no module of that path.
    """

    def __init__(self, model: nn.Module, places: Iterable[str]) -> None:
        self.modules = {place: _module(model, place) for place in dict.fromkeys(places)}
        self.values: dict[str, Tensor] = {}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> dict[str, Tensor]:
        self.values.clear()
        for place, module in self.modules.items():
            if place.endswith(SCORES):
                self._handles.extend(_watch_scores(module, place, self.values))
            else:
                self._handles.append(_watch(module, place, self.values))
        return self.values

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._handles:
            self._handles.pop().remove()


def find_points(model: nn.Module, *inputs: Tensor) -> list[TapPoint]:
    """List the output of every module for `inputs`, in the order in which they finish.

    The model is put into evaluation mode for it and back; nothing in it changes.
    """
    found: list[TapPoint] = []

    def note(place: str) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
            value = _tensor(made)
            if value is not None:
                found.append(TapPoint(place, tuple(value.shape), module))

        return hook

    named = [(name, module) for name, module in model.named_modules() if name]
    handles = [module.register_forward_hook(note(name)) for name, module in named]
    try:
        run_once(model, *inputs)
    finally:
        for handle in handles:
            handle.remove()
    return found


def record_shapes(
    model: nn.Module, places: Iterable[str], *inputs: Tensor
) -> dict[str, tuple[int, ...]]:
    """Record the shape that passes each place for `inputs`, in evaluation mode.

    Raises:
        ValueError: if there is no such module, or no tensor passes it.
    """
    taps = Taps(model, places)
    with taps as values:
        run_once(model, *inputs)
    for place in taps.modules:
        if place not in values:
            raise ValueError(f"got layer {place!r}, through which no tensor passes")
    return {place: tuple(value.shape) for place, value in values.items()}


def module_path(place: str) -> str:
    """The path of the module at a place, be it its input, its output or its attention scores."""
    return place.removesuffix(INPUT).removesuffix(SCORES)


def _module(model: nn.Module, place: str) -> nn.Module:
    path = module_path(place)
    modules = dict(model.named_modules())
    if not path or path not in modules:
        raise ValueError(f"got no layer {path!r} in the model; {find_nearest(path, modules)}")
    return modules[path]


def _watch(module: nn.Module, place: str, values: dict[str, Tensor]) -> RemovableHandle:
    def before(_: nn.Module, given: tuple[Any, ...]) -> None:
        keep(given)

    def after(_: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        keep(made)

    def keep(passed: Any) -> None:
        value = _tensor(passed)
        if value is not None:
            wide = widen(value)
            # A later layer may change it in place; what was widened is a copy already.
            values[place] = gather_batch(wide.clone() if wide is value else wide)

    if place.endswith(INPUT):
        return module.register_forward_pre_hook(before)
    return module.register_forward_hook(after)


def _watch_scores(
    attention: nn.Module, place: str, values: dict[str, Tensor]
) -> list[RemovableHandle]:
    """Keep the products of an attention's queries and keys, by sqrt(d), [B, heads, N, N]; fused kernels give none."""
    names = find_projections(attention)
    if names is None:
        raise ValueError(
            f"got {place!r}, and that module has no layers of its own for queries and keys, want one that has"
        )
    passed: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_: nn.Module, given: tuple[Any, ...], made: Tensor) -> None:
            passed[name] = made

        return hook

    def multiply(_: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        query, key = (widen(passed.pop(name)) for name in ("query", "key"))
        heads = count_heads(attention, query.shape[-1])
        if key.shape[-1] != query.shape[-1]:
            raise ValueError(
                f"got {place!r}, whose queries share keys, want hidden states or relations of it"
            )
        query, key = (each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (query, key))
        values[place] = gather_batch(query @ key.transpose(2, 3) / query.shape[-1] ** 0.5)

    projections = dict(attention.named_children())
    return [
        projections[names[0]].register_forward_hook(keep("query")),
        projections[names[1]].register_forward_hook(keep("key")),
        attention.register_forward_hook(multiply),
    ]


def _tensor(passed: Any) -> Tensor | None:
    """The first tensor of what a module takes or gives."""
    if isinstance(passed, Tensor):
        return passed if passed.is_floating_point() else None
    if isinstance(passed, dict):
        passed = tuple(passed.values())
    if isinstance(passed, tuple | list):
        return next((found for found in map(_tensor, passed) if found is not None), None)
    return None
