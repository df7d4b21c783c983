"""The chosen row beside what it is compared with, with the intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench.roles import find_reference
from edgekd.bench.rows import reference_of
from edgekd.report.result import Comparison
from edgekd.report.result import Model
from edgekd.report.result_row import Row
from edgekd.sampling_error import NORMAL_95
from edgekd.task import Scale
from edgekd.task import score_drop


def compare_chosen(
    chosen: Row | None,
    rows: Sequence[Row],
    made: Mapping[str, Model],
    tested: int,
    scale: Scale,
    test: Mapping[str, Any],
) -> Comparison | None:
    """The chosen row beside its reference on the same engine and threads; None if that is not known, or the same row.

    Args:
        chosen: a candidate.
        rows: all of them.
        made: the models, by role.
        tested: number of test samples.
        scale: of the score.
        test: test.json.
    """
    if chosen is None:
        return None
    found = reference_of(chosen.model_dump(), [row.model_dump() for row in rows])
    other = next((row for row in rows if found is not None and row.name == found["name"]), chosen)
    whose = made[find_reference(made)]
    if other is chosen or whose.score is None or chosen.score is None or not tested:
        return None
    if not (chosen.size_bytes and other.size_bytes and chosen.latency_p50_ms):
        return None
    if other.latency_p50_ms is None:
        return None
    below = score_drop(scale, chosen.score, whose.score)
    interval = test.get("score_drop_ci95", {}).get(chosen.name)
    if test.get("right_or_wrong"):
        half = points_half_width(whose.score, chosen.score, tested)
        interval = (below - half, below + half)
    mine, its = chosen.latency_ci95_ms, other.latency_ci95_ms
    known = mine is not None and its is not None and mine[0] > 0
    return Comparison(
        reference=other.name,
        role=other.model,
        times_smaller=other.size_bytes / chosen.size_bytes,
        times_faster=other.latency_p50_ms / chosen.latency_p50_ms,
        times_faster_ci95=(its[0] / mine[1], its[1] / mine[0]) if known and mine and its else None,
        score_drop=below,
        score_drop_ci95=None if interval is None else (interval[0], interval[1]),
        paired=not test.get("right_or_wrong"),
    )


def points_half_width(one: float, other: float, tested: int) -> float:
    """Half of the 95 % interval of the difference of two accuracies, in percentage points."""
    variance = (one * (1 - one) + other * (1 - other)) / tested
    return 100 * NORMAL_95 * math.sqrt(variance)
