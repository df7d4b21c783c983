"""What a recipe may say of the layers that a loss compares. Imports no torch."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import Field

from edgekd.settings import Fraction
from edgekd.settings import Settings


class LayerPair(Settings):
    """One layer of the student and one of the teacher that belong together."""

    student: Annotated[str, Field(min_length=1, max_length=500)]
    """A module's path; with ``:input`` after it what goes in, not what comes out. Of a transformer also ``hidden:2``,
    ``scores:last``, ``queries:3`` and the like, from 1 on, or ``embeddings``."""
    teacher: Annotated[str, Field(min_length=1, max_length=500)]
    """The same, in the teacher."""


LayerWord = Literal[
    "auto",
    "embeddings",
    "hidden",
    "hidden:last",
    "scores",
    "scores:last",
    "queries:last",
    "keys:last",
    "values:last",
    "relations",
]
Layers = LayerWord | Fraction | LayerPair | Annotated[tuple[LayerPair, ...], Field(min_length=1)]
"""``auto``: stage by stage; a depth, 0 to 1; a pair of module paths, or several. Of transformers: ``hidden``, all layers
by depth; ``scores``, their attention; ``relations``, queries, keys and values of the last; ``embeddings``."""


def parse_layers(value: Any) -> Any:
    """A depth may be a whole number, a list becomes a tuple."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return tuple(value) if isinstance(value, list) else value
