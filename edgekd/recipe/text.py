"""A recipe's file as plain values, each with its place; YAML or TOML, read with limits."""

from __future__ import annotations

import datetime
import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.printable import escape_unprintable
from edgekd.recipe import toml_nodes
from edgekd.recipe import yaml_nodes
from edgekd.recipe.yaml_nodes import RecipeFault
from edgekd.recipe.yaml_nodes import RecipeNode

MAX_BYTES = 1_000_000
MAX_COLUMNS = 10_000
MAX_LINE = 190
"""Characters of a message; ``error:`` before it still leaves it under 200."""

Key = tuple[str | int, ...]
"""A value's path: ``("learn", 0, "losses")``."""


class ParsedRecipe(NamedTuple):
    """The plain values of a recipe, and the place of each."""

    value: Any
    places: dict[Key, str]
    """``recipe.yaml:12`` or ``--set``, by path; the file's name at ``()``."""


def input_error(place: str, key: Key, message: str) -> InputError:
    """``recipe.yaml:12: teacher.train.epochs: got -3, ...``, one printable line that is not long."""
    dotted = shorten(".".join(str(part) for part in key), 80)
    text = ": ".join(part for part in (place, dotted, message) if part)
    return InputError(shorten(escape_unprintable(text), MAX_LINE))


def shorten(text: str, size: int) -> str:
    """Shorten `text` to `size`, its end replaced by dots."""
    return text if len(text) <= size else text[: size - 3] + "..."


def file_label(path: Path) -> str:
    """The file's name as messages say it: the path, or its end where that is long."""
    text = str(path)
    return text if len(text) <= 60 else "..." + text[-57:]


def read(path: Path) -> ParsedRecipe:
    """The plain values of a recipe's file.

    Raises:
        InputError: if it is no regular file, too big, not UTF-8, no YAML or TOML, or holds what
            a recipe cannot: tags, dates, numbers that are not finite, keys that are not text.
    """
    label = file_label(path)
    return parse(_text(path, label), path.suffix, label)


def parse(text: str, suffix: str, label: str) -> ParsedRecipe:
    """The plain values of a recipe's text; `label` stands for the file in messages.

    Raises:
        InputError: as `read`.
    """
    forms = dict.fromkeys((".yaml", ".yml"), yaml_nodes.compose) | {".toml": toml_nodes.compose}
    form = forms.get(suffix.lower())
    if form is None:
        raise input_error(label, (), f"got suffix {suffix[:20]!r}, want .yaml, .yml or .toml")
    try:
        return _document(form(_checked_text(text)), label)
    except RecipeFault as fault:
        raise input_error(
            f"{label}:{fault.line}" if fault.line else label, (), str(fault)
        ) from fault


def from_value(value: Any, label: str) -> ParsedRecipe:
    """Plain values as if they had been read from a file; `label` stands for it in messages.

    Raises:
        InputError: for what a recipe's file could not hold.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=1, default=os.fspath)
    except (TypeError, ValueError, RecursionError) as error:
        raise input_error(label, (), f"got what a recipe cannot hold: {error}") from error
    found = parse(text, ".yaml", label)
    return found._replace(places=dict.fromkeys(found.places, label))


def override(document: ParsedRecipe, settings: Sequence[str]) -> ParsedRecipe:
    """`document` with ``learn.0.losses.1.temperature=2`` and the like put in.

    Values are YAML. Mappings on the way that are not written in the file begin empty, and a name
    that stands alone (``kd``) becomes the mapping it is short for.

    Raises:
        InputError: if one is not ``key=value`` or leads through a value that has no members.
    """
    value, places = document.value, dict(document.places)
    for setting in settings:
        dotted, equals, text = setting.partition("=")
        key: Key = tuple(int(p) if p.isdecimal() and p.isascii() else p for p in dotted.split("."))
        if not equals or "" in key:
            raise input_error("--set", (), f"got {setting[:60]!r}, want KEY=VALUE")
        if len(dotted) > 300 or len(key) > yaml_nodes.MAX_DEPTH:
            raise input_error("--set", (), f"got the key {dotted[:60]!r}..., want a shorter one")
        try:
            given = _document(yaml_nodes.compose(_checked_text(text)), "--set", key)
        except RecipeFault as fault:
            raise input_error("--set", key, str(fault)) from fault
        value = _put(value, key, given.value, key)
        places = {k: place for k, place in places.items() if k[: len(key)] != key}
        places[key] = "--set"
    return ParsedRecipe(value, places)


def place_of(document: ParsedRecipe, key: Key) -> str:
    """Return where the value at `key` stands, else a value in it, else what it should stand in."""
    if key not in document.places:
        inner = (place for k, place in document.places.items() if key and k[: len(key)] == key)
        if (found := next(inner, None)) is not None:
            return found
    while key not in document.places:
        key = key[:-1]
    return document.places[key]


def _put(value: Any, rest: Key, given: Any, key: Key) -> Any:
    if not rest:
        return given
    head, *tail = rest
    if isinstance(value, str):
        value = {"name": value}
    if isinstance(value, list):
        if not isinstance(head, int) or head >= len(value):
            raise input_error("--set", key, f"got {head!r}, want 0 to {len(value) - 1}")
        return [
            _put(item, tuple(tail), given, key) if i == head else item
            for i, item in enumerate(value)
        ]
    if not isinstance(value, dict | None):
        raise input_error("--set", key, f"got a key under {value!r}, which has none")
    members = value or {}
    return {**members, str(head): _put(members.get(str(head)), tuple(tail), given, key)}


def _text(path: Path, label: str) -> str:
    try:
        with files.open_regular(path) as file:
            data: bytes = file.read(MAX_BYTES + 1)
    except InputError as error:
        raise input_error(label, (), str(error).removeprefix(f"{path}: ")) from error
    except (OSError, ValueError) as error:
        raise input_error(label, (), f"cannot be read: {error}") from error
    if len(data) > MAX_BYTES:
        raise input_error(label, (), f"got more than {MAX_BYTES:,} bytes, want a recipe")
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise input_error(f"{label}:{line}", (), "got bytes that are no UTF-8") from error


_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\ud800-\udfff]")


def _checked_text(text: str) -> str:
    found = _FORBIDDEN.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise RecipeFault(line, f"got the character {found.group()!r}, want text")
    for number, content in enumerate(text.split("\n"), 1):
        if len(content) > MAX_COLUMNS:
            raise RecipeFault(
                number, f"got {len(content):,} characters in a line, want at most {MAX_COLUMNS:,}"
            )
    return text


def _document(root: RecipeNode, label: str, at: Key = ()) -> ParsedRecipe:
    """`root`, which stands `at` a key, without its nodes; what a recipe cannot hold is refused."""
    places: dict[Key, str] = {(): label}
    count = 0

    def plain(node: RecipeNode, key: Key) -> Any:
        nonlocal count
        count += 1
        if count > yaml_nodes.MAX_NODES:
            raise RecipeFault(node.line, f"got more than {yaml_nodes.MAX_NODES:,} values")
        if len(key) > yaml_nodes.MAX_DEPTH:
            raise RecipeFault(node.line, f"got values nested deeper than {yaml_nodes.MAX_DEPTH}")
        place = f"{label}:{node.line}" if node.line and not at else label
        if key:
            places[key] = place
        if isinstance(node.value, dict):
            return {name: plain(item, (*key, name)) for name, item in node.value.items()}
        if isinstance(node.value, list):
            return [plain(item, (*key, i)) for i, item in enumerate(node.value)]
        return _checked_scalar(node.value, place, key)

    return ParsedRecipe(plain(root, at), places)


def _checked_scalar(value: Any, place: str, key: Key) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise input_error(place, key, f"got {value}, want a finite number")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise input_error(place, key, "got an integer of more than 64 bits")
    if isinstance(value, datetime.date | datetime.time):
        raise input_error(place, key, "got a date or time, want a number or text")
    if isinstance(value, str) and _FORBIDDEN.search(value):
        raise input_error(place, key, f"got {shorten(repr(value), 60)}, want no control characters")
    return value
