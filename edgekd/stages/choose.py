"""Stage `choose`: the fastest measured student inside the budget; if there is none, by how much.

Only rows that were measured count. A limit on what was not measured is not met.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.settings import Fraction
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

OK, UNSTABLE = "ok", "unstable"
REFERENCE_PRECISION = "fp32"
QUANTIZED = "int8"
SHOWN = 2
"""Reasons told of a quantized row that was not chosen."""
NO_FASTER = 1.005
"""Times slower that two digits would show as 1.00."""
Row = Mapping[str, Any]


class Budget(Settings):
    """What the chosen candidate must keep; a limit that is left out does not count."""

    accuracy_drop_points: NonNegative | None = None
    """At most this many points of validation accuracy below the teacher."""
    accuracy: Fraction | None = None
    """At least this validation accuracy."""
    latency_p50_ms: Positive | None = None
    """At most this median latency, batch 1."""
    peak_rss_bytes: Whole | None = None
    """At most this peak of resident memory, the engine and Python included."""
    size_bytes: Whole | None = None
    """At most this many bytes of engine files."""
    speedup: Positive | None = None
    """At least this many times faster than the teacher's fp32 on the same engine and threads."""
    shrink: Positive | None = None
    """At least this many times smaller than the teacher's fp32 for the same engine."""


class Limit(NamedTuple):
    """How one limit is read off a row."""

    got: Callable[[Row, Row | None, float], float | None]
    """Row, its teacher's row, the teacher's accuracy -> value; None if not measured."""
    at_most: bool


class Verdict(NamedTuple):
    """One limit against one row."""

    limit: str
    want: float
    got: float | None
    verdict: str
    """``met``, ``missed`` or ``not measured``."""
    excess: float
    """By how much it is missed, as a fraction of what is wanted; 0 if met."""
    message: str


def _times(name: str) -> Callable[[Row, Row | None, float], float | None]:
    def ratio(row: Row, reference: Row | None, _: float) -> float | None:
        ours, theirs = row.get(name), None if reference is None else reference.get(name)
        return theirs / ours if ours and theirs else None

    return ratio


def _drop(row: Row, _: Row | None, teacher_accuracy: float) -> float | None:
    accuracy = row["validation_accuracy"]
    # rounded, so that a difference of exactly one point is not 1.0000000000000009
    return None if accuracy is None else round(100 * (teacher_accuracy - accuracy), 9)


LIMITS: dict[str, Limit] = {
    "accuracy_drop_points": Limit(_drop, at_most=True),
    "accuracy": Limit(lambda row, _, __: row["validation_accuracy"], at_most=False),
    "latency_p50_ms": Limit(lambda row, _, __: row["latency_p50_ms"], at_most=True),
    "peak_rss_bytes": Limit(lambda row, _, __: row["peak_rss_bytes"], at_most=True),
    "size_bytes": Limit(lambda row, _, __: row["size_bytes"], at_most=True),
    "speedup": Limit(_times("latency_p50_ms"), at_most=False),
    "shrink": Limit(_times("size_bytes"), at_most=False),
}


def run(config: Budget, given: Given, context: Context) -> Made:
    """Give choice.json. Takes rows, teacher_score and student_score."""
    rows = json.loads(given["rows"].read_bytes())
    teacher = json.loads(given["teacher_score"].read_bytes())
    path = context.folder / "choice.json"
    chosen = choice(rows, config, teacher["validation_accuracy"])
    path.write_bytes(files.pretty_json(chosen))
    return {"choice.json": path}


def choice(rows: Sequence[Row], budget: Budget, teacher_accuracy: float) -> dict[str, Any]:
    """The content of ``choice.json``: a chosen or else a nearest row, its verdicts, why in a sentence.

    A row whose interval stayed wide counts with the slow end of that interval.
    """
    candidates = [row for row in rows if row["model"] == "student"]
    measured = [row for row in candidates if row["status"] in (OK, UNSTABLE)]
    judged = {row["name"]: judge(row, rows, budget, teacher_accuracy) for row in measured}
    inside = [row for row in measured if all(v.verdict == "met" for v in judged[row["name"]])]
    if not measured:
        reasons = "; ".join(f"{row['name']}: {row['status']}" for row in candidates)
        return _content(None, None, [], f"no candidate could be measured: {reasons or 'none'}")
    if inside:
        best = min(inside, key=lambda row: (assured_ms(row), row["name"]))
        why = _why(best, len(inside), len(measured)) + _int8_lost(best, measured, judged)
        return _content(best["name"], None, judged[best["name"]], why)
    nearest = min(measured, key=lambda row: _distance(judged[row["name"]], row))
    missed = [v.message for v in judged[nearest["name"]] if v.verdict != "met"]
    why = f"none of {len(measured)} candidates is inside the budget; nearest {nearest['name']}: "
    return _content(None, nearest["name"], judged[nearest["name"]], why + "; ".join(missed))


def assured_ms(row: Row) -> float:
    """The latency a row is compared by: its median; the slow end of its interval if it is unstable,
    and no assurance at all if it has none."""
    if row["status"] == OK:
        return float(row["latency_p50_ms"])
    interval = row["latency_ci95_ms"]
    return float(interval[1]) if interval else math.inf


def judge(row: Row, rows: Sequence[Row], budget: Budget, teacher_accuracy: float) -> list[Verdict]:
    """Every limit of the budget against one row."""
    same = ("runtime", "threads")
    reference = next(
        (
            other
            for other in rows
            if other["model"] == "teacher"
            and other["precision"] == REFERENCE_PRECISION
            and all(other[key] == row[key] for key in same)
        ),
        None,
    )
    wanted = {name: getattr(budget, name) for name in LIMITS}
    return [
        verdict(name, want, LIMITS[name].got(row, reference, teacher_accuracy))
        for name, want in wanted.items()
        if want is not None
    ]


def verdict(name: str, want: float, got: float | None) -> Verdict:
    """One limit: ``latency_p50_ms: got 0.41, want at most 0.3 (37 % over)``."""
    at_most = LIMITS[name].at_most
    words = f"want at {'most' if at_most else 'least'} {want:.6g}"
    if got is None:
        return Verdict(name, want, None, "not measured", 1.0, f"{name}: not measured, {words}")
    short = got - want if at_most else want - got
    if short <= 0:
        return Verdict(name, want, got, "met", 0.0, f"{name}: got {got:.4g}, {words}")
    excess = short / abs(want) if want else short
    by = f"{100 * excess:.0f} % {'over' if at_most else 'under'}" if want else f"{short:.4g} over"
    return Verdict(name, want, got, "missed", excess, f"{name}: got {got:.4g}, {words} ({by})")


def _distance(verdicts: Sequence[Verdict], row: Row) -> tuple[float, float]:
    return sum(v.excess for v in verdicts), row["latency_p50_ms"]


def _why(best: Row, inside: int, measured: int) -> str:
    interval = best["latency_ci95_ms"]
    shown = f", 95 % interval {interval[0]:.4g} to {interval[1]:.4g}" if interval else ""
    why = (
        f"{best['name']} is the fastest of {inside} inside the budget "
        f"({measured} measured): {best['latency_p50_ms']:.4g} ms{shown}"
    )
    return why if best["status"] == OK else f"{why}; its interval stayed wide"


def _int8_lost(best: Row, measured: Sequence[Row], judged: Mapping[str, Sequence[Verdict]]) -> str:
    """Why the quantized rows beside the chosen float one, or else the fastest of them, lost."""
    quantized = [row for row in measured if row["precision"] == QUANTIZED]
    if best["precision"] == QUANTIZED or not quantized:
        return ""
    same = [row for row in quantized if all(row[k] == best[k] for k in ("runtime", "threads"))]
    return "".join(
        f"; {row['name']} {_lost(row, best, judged[row['name']])}"
        for row in same or [min(quantized, key=lambda row: (assured_ms(row), row["name"]))]
    )


def _lost(row: Row, best: Row, verdicts: Sequence[Verdict]) -> str:
    missed = [verdict.message for verdict in verdicts if verdict.verdict != "met"]
    if missed:
        return f"misses {missed[0]}"
    times = assured_ms(row) / assured_ms(best)
    how = "no faster" if times < NO_FASTER else f"{times:.2f}x slower"
    return f"is {how}: {islands_text(row)}"


def islands_text(row: Row) -> str:
    """What computes in float in a quantized row's engine, and why; its kernels where nothing does."""
    counted = Counter((one["op"], one["cause"]) for one in row.get("islands") or ())
    if counted:
        parts = [f"{n} float {op} ({cause})" for (op, cause), n in counted.most_common(SHOWN)]
        rest = sum(counted.values()) - sum(n for _, n in counted.most_common(SHOWN))
        return ", ".join([*parts, *([f"{rest} more float nodes"] if rest else [])])
    kernels = sorted((row.get("kernels") or {}).items(), key=lambda item: (-item[1], item[0]))
    return f"no float islands, {', '.join(f'{n} {kernel}' for kernel, n in kernels[:3])}"


def _content(
    chosen: str | None, nearest: str | None, verdicts: Sequence[Verdict], why: str
) -> dict[str, Any]:
    shown = ("limit", "want", "got", "verdict", "message")
    return {
        "chosen": chosen,
        "nearest": nearest,
        "budget": [{name: getattr(v, name) for name in shown} for v in verdicts],
        "why": why,
    }


STAGE = Stage(name="choose", settings=Budget, run=run)
