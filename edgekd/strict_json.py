"""JSON that can be read in one way only, and where two of its values differ."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from edgekd.errors import InputError


def loads(data: bytes) -> Any:
    """The value.

    Raises:
        ValueError: if it is no UTF-8 JSON, names a key twice, or holds NaN or an infinity.
        RecursionError: if it is nested beyond what can be read.
    """
    text = data.decode("utf-8-sig")  # as bytes it might be UTF-16
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)


def decode_json(data: bytes) -> Any:
    """The JSON value that a user wrote.

    Raises:
        InputError: if it is none.
    """
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"got {data[:40]!r}, want JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text)


def find_differences(first: Any, second: Any, at: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield each path at which two JSON values differ, ``learn.0.losses``, and what either has there; None where it has
    nothing."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in sorted(first.keys() | second.keys()):
            inner = f"{at}.{key}" if at else str(key)
            yield from find_differences(first.get(key), second.get(key), inner)
    elif isinstance(first, list) and isinstance(second, list):
        for i, (one, other) in enumerate(itertools.zip_longest(first, second)):
            yield from find_differences(one, other, f"{at}.{i}")
    elif first != second:
        yield at, first, second
