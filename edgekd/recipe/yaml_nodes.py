"""YAML text as plain nodes that know their line: the core scalars of YAML 1.2, and nothing that runs.

Composed from the parser's events with limits, so that a deep, huge or self-multiplying text costs
little. PyYAML's own rules (YAML 1.1) are not used: they read ``1e-4`` as text and ``no`` as false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import yaml

MAX_DEPTH = 32
MAX_NODES = 10_000

_TAG = "tag:yaml.org,2002:"
_SCALARS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("null", re.compile(r"|~|null|Null|NULL")),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE")),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")),
    (
        "float",
        re.compile(
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
            r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
        ),
    ),
)


class RecipeFault(ValueError):
    """An error in the text and its line (from 1; None if that is not known)."""

    def __init__(self, line: int | None, message: str) -> None:
        super().__init__(message)
        self.line = line


class RecipeNode(NamedTuple):
    """One value and where it stands; a mapping's member has the line of its key."""

    value: Any
    """A scalar, ``list[Node]`` or ``dict[str, Node]``."""
    line: int


def compose(text: str) -> RecipeNode:
    """The one document in `text`; an empty text is null.

    Raises:
        Fault: if it is no YAML, or more than a recipe may hold.
    """
    try:
        return _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise RecipeFault(line, f"got text that is no YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        if isinstance(error, RecipeFault):
            raise
        raise RecipeFault(
            None, "got text that is no YAML: it has an impossible character"
        ) from error


class _Composer:
    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._anchors: dict[str, RecipeNode] = {}
        self._count = 0

    def document(self) -> RecipeNode:
        next(self._events)  # the stream's start
        root = RecipeNode(None, 1)
        if isinstance(next(self._events), yaml.DocumentStartEvent):
            root = self._node(next(self._events), 0)
            next(self._events)  # the document's end
            after = next(self._events)
            if not isinstance(after, yaml.StreamEndEvent):
                raise RecipeFault(after.start_mark.line + 1, "got a second document, want one")
        return root

    def _node(self, event: Any, depth: int) -> RecipeNode:
        line = event.start_mark.line + 1
        self._count += 1
        if self._count > MAX_NODES:
            raise RecipeFault(line, f"got more than {MAX_NODES:,} values")
        if depth > MAX_DEPTH:
            raise RecipeFault(line, f"got values nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise RecipeFault(line, f"got the alias {event.anchor!r} before its anchor's end")
            return self._anchors[event.anchor]
        node = RecipeNode(self._value(event, line, depth), line)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _value(self, event: Any, line: int, depth: int) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, line)
        kind = "seq" if isinstance(event, yaml.SequenceStartEvent) else "map"
        if event.tag not in (None, "!", _TAG + kind):
            raise RecipeFault(line, f"got the tag {event.tag!r}, want none")
        return self._list(depth) if kind == "seq" else self._mapping(depth)

    def _list(self, depth: int) -> list[RecipeNode]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, RecipeNode]:
        members: dict[str, RecipeNode] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            line = event.start_mark.line + 1
            if not isinstance(key.value, str):
                raise RecipeFault(line, f"got the key {_shown(key.value)}, want text")
            if key.value in members:
                raise RecipeFault(line, f"got the key {key.value[:60]!r} twice")
            members[key.value] = self._node(next(self._events), depth + 1)._replace(line=line)
        return members


def _shown(value: Any) -> str:
    return repr(value) if not isinstance(value, list | dict) else "that is a list or mapping"


def _scalar(event: Any, line: int) -> Any:
    text: str = event.value
    if event.tag is None or event.tag == "!":
        plain = event.tag is None and event.implicit[0]
        kind = next((k for k, form in _SCALARS if plain and form.fullmatch(text)), "str")
    else:
        kind = event.tag.removeprefix(_TAG)
        form = dict(_SCALARS).get(kind)
        if not event.tag.startswith(_TAG) or (form is None and kind != "str"):
            raise RecipeFault(line, f"got the tag {event.tag!r}, want none")
        if form is not None and not form.fullmatch(text):
            raise RecipeFault(line, f"got {text[:60]!r}, want what its tag {kind!r} says")
    return _MADE[kind](text, line)


def _integer(text: str, line: int) -> int:
    if len(text) > 24:
        raise RecipeFault(line, f"got an integer of {len(text)} digits, want at most 64 bits")
    base = {"0x": 16, "0o": 8}.get(text[:2], 10)
    return int(text, base)


def _float(text: str, line: int) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


_MADE: dict[str, Any] = {
    "null": lambda text, line: None,
    "bool": lambda text, line: text.lower() == "true",
    "int": _integer,
    "float": _float,
    "str": lambda text, line: text,
}
