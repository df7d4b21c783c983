"""Which layers of a larger network a smaller one takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TypeVar

Value = TypeVar("Value")
MOST_LAYERS = 1000
CHOSEN = "chosen_layers"
"""Attribute of a list of layers that is a part of a longer one: their numbers there."""
_NUMBERS = re.compile(r"\d{1,4}([ ,-]+\d{1,4})*")


def spread_evenly(count: int, of: int) -> tuple[int, ...]:
    """Numbers of `count` layers spread over `of`, the first and the last included (of 12: 0, 2, 4, 7, 9, 11, as in
    DistilBERT, Sanh et al. 2019, arXiv:1910.01108); of one alone the first.

    Raises:
        ValueError: unless 1 <= count <= of.
    """
    if not 1 <= count <= of:
        raise ValueError(f"layers: got {count}, want 1 to {of}")
    steps, span = count - 1, of - 1
    if not steps:
        return (0,)
    return tuple((2 * number * span + steps) // (2 * steps) for number in range(count))


def parse_layers(count: int, numbers: str, of: int) -> tuple[int, ...]:
    """Numbers of the layers that are chosen, from 0, ascending; all where neither is said.

    Args:
        count: how many, spread evenly; 0 where that is not said.
        numbers: the layers themselves, such as ``0,2,3,5``; empty where that is not said.
        of: how many there are.

    Raises:
        ValueError: if both are said, or they are not numbers of layers, each once, ascending.
    """
    if count and numbers:
        raise ValueError("layers: got keep_layers beside it, want one of them")
    if not numbers:
        return spread_evenly(count, of) if count else tuple(range(of))
    if not _NUMBERS.fullmatch(numbers) or len(numbers) > 5 * MOST_LAYERS:
        raise ValueError(f"keep_layers: got {numbers[:40]!r}, want numbers such as 0,2,3,5")
    chosen = tuple(map(int, re.findall(r"\d+", numbers)))
    if list(chosen) != sorted(set(chosen)) or chosen[-1] >= of:
        got = ",".join(map(str, chosen))
        raise ValueError(
            f"keep_layers: got {got[:80]}, want ascending numbers of 0 to {of - 1}, each once"
        )
    return chosen


def take_layers(
    tensors: Mapping[str, Value], stack: str, chosen: Sequence[int], of: int
) -> dict[str, Value]:
    """The tensors of a network whose stack of layers is the chosen ones of another's.

    Args:
        tensors: by their names in the larger network.
        stack: path of its list of layers, such as ``encoder.layer``.
        chosen: numbers of the layers that are taken, ascending.
        of: how many the larger network has.

    Returns:
        The same with the layers numbered anew and the others left out; what lies outside of the stack as it was.
    """
    places = {str(old): str(new) for new, old in enumerate(chosen)}
    gone = {str(number) for number in range(of)} - places.keys()
    found: dict[str, Value] = {}
    for name, value in tensors.items():
        rest = name.removeprefix(f"{stack}.")
        number, dot, leaf = rest.partition(".")
        if rest == name or not dot or number not in places:
            if rest == name or number not in gone:
                found[name] = value
            continue
        found[f"{stack}.{places[number]}.{leaf}"] = value
    return found
