"""The parts of a network whose parameters are gathered one after another, found by its structure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from torch import nn

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""What is often taken apart by who holds it, and not called itself."""
LEAVES = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Single layers that may be a part: they are called for what they compute."""
LARGEST_SHARE = 1 / 8
"""Of all parameters: a part that holds more is taken apart where parts repeat within it."""


def find_blocks(network: nn.Module) -> list[nn.Module]:
    """Find the blocks of which a network is made, in their order: modules of a class that stands there at least twice,
    and single large layers beside them. A large module that is itself made of such blocks is taken apart.

    A parameter that several modules hold, as a tied embedding, is in none of them.
    """
    counts = Counter(type(module) for module in network.modules() if _may_repeat(module))
    whole = count_values(network)
    owners = Counter(p for module in network.modules() for p in set(module._parameters.values()))

    def repeats(module: nn.Module) -> bool:
        return _may_repeat(module) and counts[type(module)] > 1

    def is_block(module: nn.Module) -> bool:
        if type(module) in LEAVES:
            return count_values(module) > whole * LARGEST_SHARE / 4
        inside = Counter(type(part) for part in list(module.modules())[1:] if _may_repeat(part))
        small = count_values(module) <= whole * LARGEST_SHARE
        return repeats(module) and (small or max(inside.values(), default=0) < 2)

    def collect(module: nn.Module) -> Iterator[nn.Module]:
        for child in module.children():
            if is_block(child) and _holds_alone(child, owners):
                yield child
            else:
                yield from collect(child)

    return list(dict.fromkeys(collect(network)))


def count_values(module: nn.Module) -> int:
    """Count the values of all parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def _may_repeat(module: nn.Module) -> bool:
    has_parts = any(True for _ in module.children())
    return has_parts and type(module) not in CONTAINERS and count_values(module) > 0


def _holds_alone(module: nn.Module, owners: Counter[nn.Parameter | None]) -> bool:
    """Return whether nobody outside of a module holds one of its parameters."""
    own = Counter(p for part in module.modules() for p in set(part._parameters.values()))
    return all(count == owners[p] for p, count in own.items() if p is not None)
