"""Whether the nodes of a graph can be run one after the other."""

from __future__ import annotations

from collections.abc import Sequence


def has_cycle(waits: Sequence[set[bytes]], gives: Sequence[set[bytes]]) -> bool:
    """Return whether some nodes never run, because each waits for what another of them gives.

    Args:
        waits: by node the names it reads; those that no node gives are there from the start.
        gives: by node the names it writes.
    """
    inner = set[bytes]().union(*gives)
    left = [len(names & inner) for names in waits]
    readers: dict[bytes, list[int]] = {}
    for node, names in enumerate(waits):
        for name in names & inner:
            readers.setdefault(name, []).append(node)
    free = [node for node, count in enumerate(left) if count == 0]
    done, given = 0, set[bytes]()
    while free:
        done += 1
        for name in gives[free.pop()] - given:
            given.add(name)
            for reader in readers.get(name, ()):
                left[reader] -= 1
                if left[reader] == 0:
                    free.append(reader)
    return done < len(waits)
