"""A data source as a recipe or a command line says it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from edgekd.errors import InputError
from edgekd.learn.data import SOURCES
from edgekd.learn.source import SKIP_HINT
from edgekd.named_member import bind


def format_source(name: str, arguments: Mapping[str, Any]) -> str:
    """A source as YAML says it: ``digits``, ``npz:file``, or a mapping."""
    if not arguments:
        return name
    if set(arguments) == {"reference"}:
        return _scalar(f"{name}:{arguments['reference']}")
    inner = ", ".join(f"{key}: {_scalar(value)}" for key, value in arguments.items())
    return f"{{name: {name}, {inner}}}"


def drop_defaults(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a source that have to be said: all but those at their defaults."""
    usual = bind(SOURCES[name], {k: v for k, v in arguments.items() if k == "reference"})
    return {k: v for k, v in arguments.items() if k == "reference" or v != usual.get(k)}


@contextlib.contextmanager
def spell_out_hints(name: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """While a source is read: what is broken is answered with the line that leaves it out.

    Raises:
        InputError: the same, its hint being `source` with ``on_broken: skip`` where it was that of `SKIP_HINT`.
    """
    try:
        yield
    except InputError as error:
        if error.hint == SKIP_HINT:
            wanted = {**drop_defaults(name, arguments), "on_broken": "skip"}
            said = format_source(name, wanted)
            error.hint = f"data.source: {said} leaves out and lists what is broken"
        raise


def _scalar(value: Any) -> str:
    """A value as YAML says it within braces."""
    if isinstance(value, str) and re.fullmatch(
        r"[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*", value
    ):
        return value
    return json.dumps(value, ensure_ascii=False)
