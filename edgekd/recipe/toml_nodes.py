"""TOML text as plain nodes: the standard library reads it, the lines are found by the keys' text."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from edgekd.recipe.yaml_nodes import MAX_DEPTH
from edgekd.recipe.yaml_nodes import RecipeFault
from edgekd.recipe.yaml_nodes import RecipeNode

_Key = tuple[str | int, ...]

_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"\n]*\"|'[^'\n]*')"
_DEEP = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_PART}[ \t]*\.[ \t]*){{33}}")
_HEAD = re.compile(rf"[ \t]*\[\[?[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_PART}(?:[ \t]*\.[ \t]*{_PART})*)[ \t]*=")


def compose(text: str) -> RecipeNode:
    """The table in `text`, as `yaml_nodes.compose` gives it; line 0 where it is not known.

    Raises:
        Fault: if it is no TOML, or nested too deep.
    """
    if found := _DEEP.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise RecipeFault(line, f"got a key of more than {MAX_DEPTH} parts")
    try:
        value = tomllib.loads(text)
    except RecursionError as error:
        raise RecipeFault(None, f"got values nested deeper than {MAX_DEPTH}") from error
    except ValueError as error:
        said = re.search(r"line (\d+)", str(error))
        message = re.sub(r" \(at .*\)$", "", str(error))
        raise RecipeFault(
            int(said.group(1)) if said else None, f"got text that is no TOML: {message[:100]}"
        ) from error
    lines = _lines(text)
    return _node(value, (), lines, 0)


def _node(value: Any, key: _Key, lines: dict[_Key, int], line: int) -> RecipeNode:
    line = lines.get(key, line)
    if len(key) > MAX_DEPTH:
        raise RecipeFault(line or None, f"got values nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        members = {k: _node(v, (*key, k), lines, line) for k, v in value.items()}
        return RecipeNode(members, line)
    if isinstance(value, list):
        return RecipeNode([_node(v, (*key, i), lines, line) for i, v in enumerate(value)], line)
    return RecipeNode(value, line)


def _lines(text: str) -> dict[_Key, int]:
    """The line of each key that stands at a line's start; others are found by what holds them."""
    lines: dict[_Key, int] = {}
    counts: dict[_Key, int] = {}
    head: _Key = ()
    for number, line in enumerate(text.split("\n"), 1):
        if found := _HEAD.match(line):
            head = _parts(found.group(1), counts)
            if line.lstrip().startswith("[["):
                index = counts.get(head, -1) + 1
                counts[head] = index
                lines.setdefault(head, number)
                head = (*head, index)
            lines.setdefault(head, number)
        elif found := _KEY.match(line):
            lines.setdefault((*head, *_parts(found.group(1), {})), number)
    return lines


def _parts(dotted: str, counts: dict[_Key, int]) -> _Key:
    """The parts of a dotted key; below an array of tables, with the table's number."""
    parts: list[str | int] = []
    for found in re.finditer(_PART, dotted):
        if (number := counts.get(tuple(parts))) is not None:
            parts.append(number)
        parts.append(found.group().strip("\"'"))
    return tuple(parts)
