"""Chooses an engine for each size of a free axis where that is surely faster than one for all sizes, and worth its bytes.

A quantized file gains most at short inputs and bfloat16 at long ones, so the best of each may be another. Time counts
by the validation samples of each size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd.bench.budget import LIMITS
from edgekd.bench.budget import MET
from edgekd.bench.budget import Budget
from edgekd.bench.budget import judge_limit
from edgekd.bench.budget import read_latency
from edgekd.bench.rows import Row
from edgekd.bench.status import TIMED
from edgekd.units import bytes_text
from edgekd.units import percent_text

MARGIN = 1.03
"""Times faster that a change is worth: of one size, and over all samples of each further engine."""
TOTALS = ("size_bytes", "shrink", "peak_rss_bytes")
"""Limits of all engines together, if each is loaded beside the others."""


class TimedSize(NamedTuple):
    """Rows of one size."""

    size: int
    share: float
    """Of the validation samples."""
    rows: dict[str, Row]
    """Those that keep every limit there, by the names of their usual rows."""


Keeps = Callable[[Row, Row], bool]
"""Whether an engine, by its usual row, keeps all limits at another of its rows' size."""


def choose_by_size(
    best: Row,
    candidates: Sequence[Row],
    others: Callable[[Row], Sequence[Row]],
    keeps: Keeps,
    budget: Budget,
    reference: Row | None,
) -> dict[str, Any] | None:
    """What ``choice.json`` says under `by_size`; None where not two sizes were timed that samples have.

    Args:
        best: the usual row of the engine for all sizes, which keeps every limit at each.
        candidates: the usual rows that were timed.
        others: gives an engine's rows at other sizes.
        keeps: see `Keeps`.
        budget: what all engines together must keep.
        reference: the row that they are compared with.
    """
    axis, buckets = list_buckets(best, candidates, others, keeps)
    if len(buckets) < 2 or not all(best["name"] in bucket.rows for bucket in buckets):
        return None
    by_name = {row["name"]: row for row in candidates}
    allowed = set(by_name)
    picks = _pick(buckets, best["name"], allowed)
    possible = _time(buckets, [best["name"]] * len(buckets)) / _time(buckets, picks)
    reason = ""
    while extra := {_engine(by_name[name]) for name in picks} - {_engine(best)}:
        without = {}
        for engine in sorted(extra):
            left = {name for name in allowed if _engine(by_name[name]) != engine}
            without[engine] = (_pick(buckets, best["name"], left), left)
        least = min(without, key=lambda engine: _time(buckets, without[engine][0]))
        pays = _time(buckets, without[least][0]) >= MARGIN * _time(buckets, picks)
        broken = _find_broken([by_name[name] for name in picks], best, budget, reference)
        if pays and not broken:
            break
        reason = broken or "less than 3 %"
        picks, allowed = without[least]
    found = _describe(axis, buckets, picks, best, by_name)
    return {**found, "why": _explain(found, best, possible, reason)}


def list_buckets(
    best: Row, candidates: Sequence[Row], others: Callable[[Row], Sequence[Row]], keeps: Keeps
) -> tuple[str, list[TimedSize]]:
    """The free axis along which sizes were timed, and each size that samples have, ascending; arguments as
    `choose_by_size` takes them."""
    mine = [best, *others(best)]
    sizes = [row.get("sizes", {}) for row in mine]
    axes = [axis for axis in sizes[0] if len({each[axis] for each in sizes}) > 1]
    if len(axes) != 1:
        return "", []
    (axis,) = axes
    shares = {row["sizes"][axis]: row.get("share", 0.0) for row in mine}
    rows: dict[int, dict[str, Row]] = {size: {} for size in shares}
    for usual in candidates:
        for row in (usual, *others(usual)):
            if row["sizes"][axis] in rows and row["status"] in TIMED and keeps(usual, row):
                rows[row["sizes"][axis]][usual["name"]] = row
    found = [TimedSize(size, share, rows[size]) for size, share in shares.items() if share]
    return axis, sorted(found, key=lambda bucket: bucket.size)


def is_surely_faster(row: Row, other: Row) -> bool:
    """Return whether a row is faster by the margin, and its whole interval lies below the other's."""
    mine, its = read_latency(row), read_latency(other)
    if mine.worst is None or its.best is None or not mine.value or not its.value:
        return False
    return mine.worst < its.best and its.value >= MARGIN * mine.value


def _pick(buckets: Sequence[TimedSize], one: str, allowed: Collection[str]) -> list[str]:
    """By bucket the fastest that is surely faster than the one for all, or that one."""
    picks = []
    for bucket in buckets:
        faster = [
            name
            for name, row in bucket.rows.items()
            if name in allowed and is_surely_faster(row, bucket.rows[one])
        ]
        picks.append(min(faster, key=lambda name: _order(bucket.rows[name]), default=one))
    return picks


def _order(row: Row) -> tuple[float, str]:
    worst = read_latency(row).worst
    return math.inf if worst is None else worst, row["name"]


def _time(buckets: Sequence[TimedSize], picks: Sequence[str]) -> float:
    """Of the mean sample, in ms."""
    total = sum(bucket.share for bucket in buckets)
    each = zip(buckets, picks, strict=True)
    return float(sum(b.share * b.rows[name]["latency_p50_ms"] for b, name in each) / total)


def _engine(row: Row) -> tuple[str, str, str]:
    """What has files of its own; the number of threads has not."""
    return row["runtime"], row["precision"], row.get("profile", "")


def _sum_figures(picked: Iterable[Row]) -> dict[str, float | None]:
    """Bytes and peaks of different engines together; None where one is not known."""
    engines: dict[tuple[str, str, str], Row] = {}
    for row in picked:
        engines.setdefault(_engine(row), row)
    found: dict[str, float | None] = {}
    for figure in ("size_bytes", "peak_rss_bytes"):
        values = [row[figure] for row in engines.values()]
        found[figure] = None if None in values else sum(values)
    return found


def _find_broken(picked: Sequence[Row], best: Row, budget: Budget, reference: Row | None) -> str:
    """Which limit all engines together do not keep, as a sentence; empty if they keep all."""
    whole = {**best, **_sum_figures(picked)}
    for name in TOTALS:
        want, limit = getattr(budget, name), LIMITS[name]
        if want is not None:
            verdict = judge_limit(name, want, limit.read(whole, reference), at_most=limit.at_most)
            if verdict.verdict != MET:
                return f"all together miss {verdict.message}"
    return ""


def _describe(
    axis: str,
    buckets: Sequence[TimedSize],
    picks: Sequence[str],
    best: Row,
    by_name: Mapping[str, Row],
) -> dict[str, Any]:
    one = best["name"]
    last = len(buckets) - 1
    return {
        "axis": axis,
        "one_for_all": one,
        "buckets": [
            {
                "size": bucket.size,
                "most": None if number == last else bucket.size,
                "share": bucket.share,
                "row": name,
                "latency_p50_ms": bucket.rows[name]["latency_p50_ms"],
                "one_for_all_ms": bucket.rows[one]["latency_p50_ms"],
            }
            for number, (bucket, name) in enumerate(zip(buckets, picks, strict=True))
        ],
        "gain": _time(buckets, [one] * len(buckets)) / _time(buckets, picks),
        "size_bytes": _sum_figures(by_name[name] for name in picks)["size_bytes"],
        "one_for_all_size_bytes": best["size_bytes"],
    }


def _explain(found: Mapping[str, Any], best: Row, possible: float, reason: str) -> str:
    axis = found["axis"]
    if found["gain"] == 1:
        if not reason:
            return f"it serves all sizes of {axis}: no other is surely faster at any of them"
        gain = percent_text(possible - 1)
        return f"it serves all sizes of {axis}: a choice by size gains {gain}, {reason}"
    parts = [
        f"{each['row']} up to {each['size']} ({each['latency_p50_ms']:.4g} ms beside "
        f"{each['one_for_all_ms']:.4g})"
        for each in found["buckets"]
        if each["row"] != best["name"]
    ]
    whole, alone = found["size_bytes"], found["one_for_all_size_bytes"]
    more = "" if whole is None or alone is None else f", for {bytes_text(whole - alone)} more"
    return (
        f"by {axis} others answer: {', '.join(parts)}; over the validation samples "
        f"{found['gain']:.2f}x faster than it alone{more}"
    )


def list_more_profiles(
    choice: Mapping[str, Any], rows: Mapping[str | None, Row]
) -> tuple[str, ...]:
    """Profiles of the files that answer at some sizes beside the chosen one's; empty of the float one.

    Args:
        choice: ``choice.json``.
        rows: by their names.
    """
    if choice["chosen"] is None:
        return ()
    buckets = choice.get("by_size", {}).get("buckets", ())
    profiles = {rows[each["row"]].get("profile", "") for each in buckets}
    return tuple(sorted(profiles - {rows[choice["chosen"]].get("profile", "")}))
