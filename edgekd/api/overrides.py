"""Overrides of a recipe as Python values, in the words of ``--set``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from edgekd.errors import InputError


def to_settings(overrides: Mapping[str, Any]) -> tuple[str, ...]:
    """Overrides as ``KEY=VALUE``, as the command line takes them.

    Args:
        overrides: ``{"student": {"train": {"epochs": 3}}}`` or ``{"student.train.epochs": 3}``. A mapping counts
            key by key, unless it names a member (``{"name": "kd", ...}``): that and every list replace what is there.

    Raises:
        InputError: for a value that a recipe cannot hold.

    >>> to_settings({"student": {"train": {"epochs": 3}}, "seed": 1})
    ('student.train.epochs=3', 'seed=1')
    """
    return tuple(f"{key}={_text(key, value)}" for key, value in _leaves("", overrides))


def _leaves(prefix: str, members: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in members.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value and "name" not in value:
            yield from _leaves(f"{key}.", value)
        else:
            yield key, value


def _text(key: str, value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, default=os.fspath)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{key}: got what a recipe cannot hold: {error}") from error
