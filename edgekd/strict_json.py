"""JSON that can be read in one way only."""

from __future__ import annotations

import json
import math
from typing import Any


def loads(data: bytes) -> Any:
    """The value.

    Raises:
        ValueError: if it is no UTF-8 JSON, names a key twice, or holds NaN or an infinity.
        RecursionError: if it is nested beyond what can be read.
    """
    return json.loads(data, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text)
