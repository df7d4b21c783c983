"""The kinds of fields, by the name data.json uses; see `edgekd.field` for what one is."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from edgekd.errors import find_nearest
from edgekd.field import Field

_HERE = "edgekd.fields"


class FieldEntry(NamedTuple):
    """The module of a kind of field, its class, and one line about it."""

    module: str
    name: str
    summary: str
    axes: tuple[str, ...] = ()
    """Its free axes, each called ``<field>_<axis>``."""
    sizes: tuple[str, ...] = ()
    """Names of the sizes that one gives as an input; none if they are not known beforehand."""

    def load(self) -> type[Field]:
        """The class."""
        found: type[Field] = getattr(importlib.import_module(self.module), self.name)
        return found


FIELDS: dict[str, FieldEntry] = {
    "image": FieldEntry(
        f"{_HERE}.image",
        "Image",
        "pixels of one size, uint8 [N, H, W, C]",
        sizes=("channels", "height", "width"),
    ),
    "class": FieldEntry(f"{_HERE}.label", "Label", "one class a sample, int64 [N]"),
    "classes": FieldEntry(
        f"{_HERE}.classes", "Classes", "any number of classes a sample, uint8 [N, C] of 0 and 1"
    ),
    "number": FieldEntry(
        f"{_HERE}.number", "Number", "numbers, float32 [N, K] or [N]", sizes=("columns",)
    ),
    "tokens": FieldEntry(
        f"{_HERE}.tokens",
        "Tokens",
        "numbers of a vocabulary, of any length, int32 or int64",
        ("length",),
        ("vocabulary", "longest"),
    ),
    "text-pair": FieldEntry(
        f"{_HERE}.text_pair",
        "TextPair",
        "two texts as one row of tokens with their types, of any length, int32",
        ("length",),
        ("vocabulary", "longest"),
    ),
    "conversation": FieldEntry(
        f"{_HERE}.conversation",
        "Conversation",
        "conversations as tokens, of any length, int32; text is what a user says",
        ("length",),
        ("vocabulary", "longest"),
    ),
    "map": FieldEntry(f"{_HERE}.map", "Map", "a class of every pixel, uint8 or int64 [N, H, W]"),
    "tags": FieldEntry(f"{_HERE}.tags", "Tags", "a class of every token, of any length, int64"),
    "next-tokens": FieldEntry(
        f"{_HERE}.next_tokens", "NextTokens", "the token after each token, of any length, int64"
    ),
    "masked-tokens": FieldEntry(
        f"{_HERE}.masked_tokens", "MaskedTokens", "the token behind a mask, of any length, int64"
    ),
    "pairs": FieldEntry(
        f"{_HERE}.pairs", "Pairs", "which samples belong together, and how alike, float64 [N, 3]"
    ),
    "array": FieldEntry(
        f"{_HERE}.array", "Array", "numbers of any fixed shape, [N, ...], as a model takes them"
    ),
    "boxes": FieldEntry(
        f"{_HERE}.boxes", "Boxes", "boxes with their classes, of any number, float32"
    ),
}


def find_field(kind: str) -> type[Field]:
    """The class of a kind.

    Raises:
        ValueError: if there is none.
    """
    if kind not in FIELDS:
        raise ValueError(f"got unknown kind of field {kind!r}; {find_nearest(kind, FIELDS)}")
    return FIELDS[kind].load()


def from_json(value: Any) -> Field:
    """The field of its own kind that data.json describes.

    Raises:
        ValueError: names what is wrong in it.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        raise ValueError(f"got {value!r}, want a mapping with `kind`")
    return find_field(value["kind"]).from_json(value)
