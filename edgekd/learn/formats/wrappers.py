"""Finds the weights in what a training script saved: they may lie beside its arguments, counters and averages."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch import nn

WRAPPERS = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "params_ema", "ema"),
    *("state_dict", "model_state_dict", "model", "net", "module"),
)
"""Keys under which weights lie, averaged ones first, as they are what is published."""
_DEEPEST = 3
_MOST_NAMED = 10


class LoadedState(NamedTuple):
    """A state dict, and what was done to find it."""

    tensors: dict[str, Tensor]
    notes: tuple[str, ...]
    """One sentence each."""


def unwrap(loaded: object) -> LoadedState:
    """The state dict in `loaded`, a dict that may hold it under a key of `WRAPPERS`, or under the only one that holds
    tensors.

    Raises:
        ValueError: if it is no dict, or there are no tensors in it.
    """
    keys: list[str] = []
    for _ in range(_DEEPEST):
        if not isinstance(loaded, dict):
            break
        key = next((key for key in WRAPPERS if _holds_tensors(loaded.get(key), _DEEPEST)), None)
        if key is None and not any(map(_is_tensor, loaded.values())):
            holding = [key for key, value in loaded.items() if _holds_tensors(value, 1)]
            key = holding[0] if len(holding) == 1 else None
        if key is None:
            break
        keys.append(key)
        loaded = loaded[key]
    if not isinstance(loaded, dict):
        raise ValueError(f"got {type(loaded).__name__}, want a dict of tensors")
    for name in loaded:
        if not isinstance(name, str):
            raise ValueError(f"got a key of type {type(name).__name__}, want names of tensors")
    tensors = {name: value.detach() for name, value in loaded.items() if _is_tensor(value)}
    others = [name for name in loaded if name not in tensors]
    if others and not tensors:
        holding = [name for name in others if _holds_tensors(loaded[name], 1)]
        if holding:
            want = f"want one dict of tensors, or one of {', '.join(WRAPPERS)}"
            raise ValueError(f"got tensors under each of {list_names(holding)}, {want}")
        kind = type(loaded[others[0]]).__name__
        raise ValueError(f"got no tensors, {others[0][:80]} is a {kind}, want a dict of tensors")
    notes = []
    if keys:
        notes.append(f"the weights are those under {'.'.join(keys)}")
    if others:
        notes.append(f"beside the weights {list_names(others)} was read over")
    return LoadedState(tensors, tuple(notes))


def _is_tensor(value: object) -> bool:
    return type(value) in (Tensor, nn.Parameter)


def _holds_tensors(value: object, deepest: int) -> bool:
    """Return whether it is a dict with a tensor in it, or in one of the dicts that its keys say hold weights."""
    if not isinstance(value, dict) or not deepest:
        return False
    inner = (value.get(key) for key in WRAPPERS)
    return any(map(_is_tensor, value.values())) or any(
        _holds_tensors(each, deepest - 1) for each in inner
    )


def list_names(names: list[str], most: int = _MOST_NAMED) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(shorten(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def shorten(text: str) -> str:
    """Return at most 80 characters."""
    return text if len(text) <= 80 else f"{text[:77]}..."
