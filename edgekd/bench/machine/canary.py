"""A small fixed piece of work whose time says whether the machine drifts.

It is the same on every machine and in every version: what changes in its time between two snapshots is
the machine's doing. Where it varies by more than 5 %, milliseconds are not worth printing; ratios of
interleaved pairs are.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench import timing
from edgekd.bench.machine import validity
from edgekd.bench.statistics import median

SIDE = 96
"""Of the square matrices that are multiplied: 110 kB, inside any second-level cache."""
WARM_UP_NS = 10_000_000
SPAN_NS = 50_000_000
DRIFT = 0.05
"""Coefficient of variation above which absolute numbers are not shown."""
FEWEST = 3
"""Snapshots that it takes to speak of a spread."""


def run_canary(
    spec: Mapping[str, Any], say: Callable[[str], None], started_ns: int
) -> dict[str, Any]:
    """The worker's job ``canary``: its median in nanoseconds, and the machine at this moment."""
    import numpy as np

    random = np.random.default_rng(0)
    a, b = (random.standard_normal((SIDE, SIDE)).astype(np.float32) for _ in range(2))
    out = np.empty_like(a)

    def step(index: int) -> None:
        np.matmul(a, b, out=out)

    clock = time.perf_counter_ns
    say("canary")
    timing.run_iterations(step, clock, 0, 1, WARM_UP_NS)
    times_ns = timing.run_iterations(step, clock, 0, 1, SPAN_NS)
    return {"canary_ns": median(times_ns), "snapshot": validity.take_snapshot()}


def compute_variation(canaries_ns: Sequence[float]) -> float | None:
    """Standard deviation over mean; None for fewer than three snapshots."""
    if len(canaries_ns) < FEWEST:
        return None
    mean = math.fsum(canaries_ns) / len(canaries_ns)
    squares = math.fsum((value - mean) ** 2 for value in canaries_ns)
    return math.sqrt(squares / (len(canaries_ns) - 1)) / mean


def is_drifting(canaries_ns: Sequence[float]) -> bool:
    """Return whether milliseconds of this session are not worth printing."""
    found = compute_variation(canaries_ns)
    return found is not None and found > DRIFT
