"""Members of a table as attributes of a module: ``edgekd.losses.kd``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from edgekd.errors import find_nearest
from edgekd.table import Member


def load_function(table: Mapping[str, Member], name: str, where: str) -> Callable[..., Any]:
    """A member's function by its name as an attribute, with what the name stands for.

    Args:
        table: its members are edgekd's and those of plugins.
        name: with `_` for `-`.
        where: the module that is asked, for the message.

    Raises:
        AttributeError: if there is none.
    """
    found = name.replace("_", "-")
    if found not in table:
        raise AttributeError(
            f"module {where!r} has no attribute {name!r}; {find_nearest(found, table)}"
        )
    member = table[found]
    function: Callable[..., Any] = member.load()
    return functools.partial(function, **member.preset) if member.preset else function
