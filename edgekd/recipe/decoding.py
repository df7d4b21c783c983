"""What a recipe asks of a decoder's tokens, against what it times."""

from __future__ import annotations

from edgekd.bench.budget import TOKEN_LIMITS
from edgekd.bench.budget import Budget
from edgekd.bench.sized_calls import Sizes
from edgekd.recipe.agreement import Fault


def find_rate_fault(sizes: Sizes, budget: Budget) -> Fault | None:
    """Find a limit of a decoder's tokens for which nothing is timed."""
    for size, (name, _) in TOKEN_LIMITS.items():
        if getattr(budget, name) is not None and size not in sizes:
            return ("budget", name), f"got it, want measure.sizes.{size} beside it"
    return None
