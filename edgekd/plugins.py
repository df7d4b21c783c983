"""Plugins: members that installed distributions add to edgekd's tables through entry points.

A distribution names them in its own metadata, ``name = package.module:function`` in a group of `GROUPS`. Nothing
is imported to list them, and nothing is read before a name is asked for that edgekd does not have.
"""

from __future__ import annotations

import functools
from collections.abc import Container
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd.errors import InputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUPS = {
    "loss": "edgekd.losses",
    "scheme": "edgekd.schemes",
    "model": "edgekd.models",
    "data source": "edgekd.sources",
    "task": "edgekd.tasks",
    "runtime": "edgekd.runtimes",
}
"""Kind of member to the group of its entry points."""


class Plugin(NamedTuple):
    """One entry point."""

    kind: str
    name: str
    reference: str
    """``package.module:function``, as the distribution says it."""
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@functools.cache
def _read_entry_points() -> Mapping[str, tuple[EntryPoint, ...]]:
    """Group to the entry points of every installed distribution."""
    import importlib.metadata  # its parser of mail takes longer to import than all else here

    found = importlib.metadata.entry_points()
    return {group: tuple(found.select(group=group)) for group in GROUPS.values()}


@functools.cache
def list_plugins(kind: str) -> Mapping[str, tuple[Plugin, ...]]:
    """Name to all entry points of that name; more than one cannot be told apart.

    Args:
        kind: a key of `GROUPS`.
    """
    by_name: dict[str, tuple[Plugin, ...]] = {}
    for point in _read_entry_points()[GROUPS[kind]]:
        owner = point.dist
        name, version = (owner.name, owner.version) if owner is not None else ("unknown", "")
        reference = point.value.partition("[")[0].strip()
        plugin = Plugin(kind, point.name, reference, name, version)
        by_name[point.name] = (*by_name.get(point.name, ()), plugin)
    return dict(sorted(by_name.items()))


def find_plugin(kind: str, name: str) -> Plugin | None:
    """The entry point called `name`; None if no distribution has it.

    Raises:
        InputError: if several distributions have it.
    """
    found = list_plugins(kind).get(name, ())
    if len(found) > 1:
        owners = " and ".join(sorted(map(str, found)))  # folders list them in any order
        raise InputError(f"{kind} {name!r}: got it from {owners}, want one of them installed")
    return found[0] if found else None


def require_distinct(kind: str, name: str, built_in: Container[str]) -> None:
    """Raises InputError if a plugin takes the name of a built-in member."""
    same = list_plugins(kind).get(name, ())
    if same and name in built_in:
        raise InputError(
            f"{kind} {name!r}: got it from {same[0]}, want another name: edgekd has one of that name",
            hint=f"pip uninstall {same[0].distribution}",
        )
