"""What the stages found layer by layer, as tables for the page."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

TITLES = {
    "factorize": "Low rank, layer by layer",
    "prune": "Pruning, layer by layer",
    "sensitivity": "What each layer's quantization costs",
}
LONGEST = 200
"""Rows shown of one table; the file beside the page has them all."""


class Table(NamedTuple):
    """One table of a page."""

    title: str
    file: str
    """Where all of it stands."""
    facts: tuple[tuple[str, Any], ...]
    """What is said once."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    left_out: int
    """Rows that are only in the file."""


def shown(found: Mapping[str, Any]) -> tuple[Table, ...]:
    """One table a file: its single values as facts, its lists of mappings as rows.

    Args:
        found: content by file name, ``sensitivity-asymmetric.json``.
    """
    return tuple(table for name in sorted(found) for table in _tables(name, found[name]))


def _tables(name: str, value: Any) -> Iterator[Table]:
    stem = name.removesuffix(".json")
    kind, _, which = stem.partition("-")
    title = TITLES.get(kind, kind) + (f" ({which})" if which else "")
    content = value if isinstance(value, Mapping) else {"": value}
    facts = tuple((key, _cell(item)) for key, item in content.items() if not _listed(item))
    lists = {key: item for key, item in content.items() if _listed(item)}
    for number, (key, rows) in enumerate(lists.items()):
        nested = {c for row in rows for c in row if _listed(row[c])}  # the file has them
        columns = tuple(dict.fromkeys(c for row in rows for c in row if c not in nested))
        cells = tuple(tuple(_cell(row.get(c)) for c in columns) for row in rows[:LONGEST])
        heading = title if len(lists) == 1 else f"{title}: {key}"
        yield Table(
            heading, name, () if number else facts, columns, cells, max(0, len(rows) - LONGEST)
        )
    if not lists:
        yield Table(title, name, facts, (), (), 0)


def _listed(item: Any) -> bool:
    return isinstance(item, Sequence) and bool(item) and all(isinstance(r, Mapping) for r in item)


def _cell(item: Any) -> Any:
    if isinstance(item, Mapping):
        return ", ".join(f"{key} {_cell(value)}" for key, value in item.items())
    if isinstance(item, list | tuple):
        return ", ".join(str(_cell(value)) for value in item)
    return f"{item:.4g}" if isinstance(item, float) else item
