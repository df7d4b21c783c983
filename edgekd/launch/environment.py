"""Which process of a launch this is, by the variables that torchrun sets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from edgekd.errors import InputError

_ALONE: ContextVar[bool] = ContextVar("alone", default=False)


class Launch(NamedTuple):
    """The place of this process among those that were started together."""

    rank: int
    """From 0, over all machines."""
    size: int
    """How many ranks there are."""
    local_rank: int
    """From 0, on this machine."""
    local_size: int
    """How many there are on this machine."""

    @property
    def is_on_one_machine(self) -> bool:
        """Whether all ranks are on this machine."""
        return self.local_size == self.size

    @property
    def is_first_of_others(self) -> bool:
        """Whether this is the lowest of this machine's ranks beside rank 0: it speaks where that cannot."""
        return self.rank > 0 and (self.local_rank == 0 or self.rank == 1)


def read_launch(variables: Mapping[str, str] = os.environ) -> Launch:
    """Read which rank this process is; the only one where no launcher said anything.

    Raises:
        InputError: if a variable is missing or no number.
    """
    if variables.get("WORLD_SIZE", "1") == "1":
        return Launch(0, 1, 0, 1)
    rank, count = _read_number(variables, "RANK"), _read_number(variables, "WORLD_SIZE")
    local_rank = _read_number(variables, "LOCAL_RANK")
    local_count = _read_number(variables, "LOCAL_WORLD_SIZE")
    if not (rank < count and local_rank < local_count <= count):
        raise InputError(
            f"RANK, LOCAL_RANK: got {rank} of {count}, {local_rank} of {local_count}, want each below its count"
        )
    return Launch(rank, count, local_rank, local_count)


def _read_number(variables: Mapping[str, str], name: str) -> int:
    text = variables.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise InputError(
            f"{name}: got {text[:20]!r} beside a WORLD_SIZE, want a number",
            hint="start several processes with torchrun, or set what it sets",
        )
    return int(text)


@contextmanager
def work_alone() -> Iterator[None]:
    """Inside, this process is the only one: the others take no part."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


def is_alone() -> bool:
    """Whether this is inside `work_alone`."""
    return _ALONE.get()


def count_partners() -> int:
    """Return how many ranks take part in what this process does now, itself included."""
    return 1 if is_alone() else read_launch().size
