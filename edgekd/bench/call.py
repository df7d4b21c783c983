"""What one call of a model takes: how each input is shaped and filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PROMPT, CONTEXT = "prompt_length", "context_length"
"""Sizes of decoders, none of an axis of theirs: tokens before the first that is written, and before the next."""
FIRST, NEXT = "first token", "next token"
"""What of a decoder is timed where it is no plain call."""
TEXT = "text"
"""The only input of that."""


class InputPlan(NamedTuple):
    """Shape and content of one input of a call."""

    shape: tuple[int | None, ...]
    """None where the batch goes."""
    high: int | None = None
    """Whole numbers are drawn below this; None where the graph does not tell."""
    value: float | None = None
    """What every element is, in place of numbers that are drawn."""


class CallPlan(NamedTuple):
    """Shape and content of all inputs of one call of a model."""

    inputs: dict[str, InputPlan]
    batch: int = 1
    """Samples a call; 1 where no axis is known to count them."""
    label: str = ""
    """The sizes that were asked for: ``height=224,width=224``."""
    note: str = ""
    """What a reader of the numbers has to know."""
    sizes: Mapping[str, int] = {}
    """By the name of a free axis its size, where a recipe asks for others than the usual."""

    decoding: Mapping[str, object] = {}
    """What of a decoder is timed (`edgekd.bench.text_jobs`), where that is no plain call."""

    def spec(self) -> dict[str, list[object]]:
        """The inputs as a worker is told of them."""
        return {name: list(one) for name, one in self.inputs.items()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The whole shape of each input."""
        return {
            name: tuple(self.batch if size is None else size for size in one.shape)
            for name, one in self.inputs.items()
        }
