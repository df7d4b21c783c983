"""A limit of a budget against one measured row: met, missed, or left open by what was measured.

A figure that was sampled has an interval, and keeps a limit only if the end that speaks against it
does. Metrics on the validation images, peak memory and size are single figures without one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Annotated
from typing import Any
from typing import Literal
from typing import NamedTuple

from pydantic import Field

from edgekd.bench.call import CONTEXT
from edgekd.bench.call import PROMPT
from edgekd.bench.status import FAILED
from edgekd.bench.status import INVALID
from edgekd.bench.status import TIMED
from edgekd.bench.status import read_status
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.task import Scale
from edgekd.task import score_drop

Number = Annotated[float, Field(allow_inf_nan=False)]
METRICS = "metrics."
"""Before a metric's name, in a limit's."""
ACCURACY = (Scale("accuracy"),)
LimitVerdict = Literal["met", "missed", "open", "not measured"]
MET: LimitVerdict = "met"
MISSED: LimitVerdict = "missed"
OPEN: LimitVerdict = "open"
NOT_MEASURED: LimitVerdict = "not measured"
FEW = "too few processes ran for an interval"
Row = Mapping[str, Any]


class Budget(Settings):
    """What the chosen candidate must keep; a limit that is left out does not count."""

    score_drop: NonNegative | None = None
    """How much worse than the teacher's the validation score may be: points of a fraction, else in its own unit. Without
    a teacher this and `speedup` and `shrink` are against the float student that the run began with."""
    score: Number | None = None
    """At least this validation score; at most, where lower is better."""
    metrics: dict[str, Number] = omit_default({})
    """The same of any metric of the task, by its name: ``{"macro F1": 0.9}``."""
    latency_p50_ms: Positive | None = None
    """At most this median latency, batch 1: the slow end of its interval counts."""
    peak_rss_bytes: Whole | None = None
    """At most this peak of resident memory, the engine and Python included."""
    first_token_ms: Positive | None = omit_default(None)
    """Of a decoder, at most this median time to the first token, at every ``measure.sizes.prompt_length``."""
    decode_tokens_per_s: Positive | None = omit_default(None)
    """Of a decoder, at least this many tokens a second behind the first, from the median time between two, at every
    ``measure.sizes.context_length``."""
    size_bytes: Whole | None = None
    """At most this many bytes of engine files."""
    speedup: Positive | None = None
    """At least this many times faster than the teacher's fp32 on the same engine and threads: the slow
    end of its interval beside the fast end of the teacher's counts."""
    shrink: Positive | None = None
    """At least this many times smaller than the teacher's fp32 for the same engine."""


class Reading(NamedTuple):
    """A figure read off a row."""

    value: float | None
    """None if it was not measured."""
    worst: float | None
    """The end of its interval that speaks against the row; None where nothing is assured."""
    best: float | None
    """The other end; None where it could be anything."""
    doubt: str = ""
    """Why nothing is assured."""


class LimitRule(NamedTuple):
    """Reads the figure of one limit off a row."""

    read: Callable[[Row, Row | None], Reading]
    """Row, and that of what it is compared with."""
    at_most: bool


class Verdict(NamedTuple):
    """One limit against one row."""

    limit: str
    want: float
    got: float | None
    verdict: LimitVerdict
    """``open``: the figure keeps it, its interval does not."""
    excess: float
    """By how much it is missed, as a fraction of what is wanted; 0 if met."""
    message: str
    turns: bool = False
    """Whether it lies within the interval, so that more measuring could turn it."""
    row: str = ""
    """Name of the row that was judged, where that is of other sizes."""


def _exact(value: float | None) -> Reading:
    return Reading(value, value, value)


def read_latency(row: Row) -> Reading:
    """The median latency in ms with the ends of its interval."""
    value, interval = row["latency_p50_ms"], row["latency_ci95_ms"]
    if interval is None:
        return Reading(value, None, None, FEW)
    if row["status"] == INVALID:
        return Reading(value, None, None, f"the machine was not fit: {row['reason']}")
    return Reading(value, interval[1], interval[0])


def _speedup(row: Row, reference: Row | None) -> Reading:
    """The reference's latency over the row's; the worst and the best of what the two intervals hold."""
    if reference is row:
        return _exact(1.0)
    if reference is None or reference["status"] not in TIMED:
        return _exact(None)
    ours, theirs = read_latency(row), read_latency(reference)
    if not ours.value or not theirs.value:
        return _exact(None)
    value = theirs.value / ours.value
    if not (ours.worst and ours.best and theirs.worst and theirs.best):
        return Reading(value, None, None, ours.doubt or theirs.doubt)
    return Reading(value, theirs.best / ours.worst, theirs.worst / ours.best)


def _shrink(row: Row, reference: Row | None) -> Reading:
    ours = row.get("size_bytes")
    theirs = None if reference is None else reference.get("size_bytes")
    return _exact(theirs / ours if ours and theirs else None)


def _read_rate(row: Row, _: Row | None) -> Reading:
    """Tokens a second, from the time of one."""
    found = read_latency(row)
    rates = [None if each is None else 1000 / each for each in found[:3]]
    return Reading(rates[0], rates[1], rates[2], found.doubt)


TOKEN_LIMITS: dict[str, tuple[str, LimitRule]] = {
    PROMPT: ("first_token_ms", LimitRule(lambda row, _: read_latency(row), at_most=True)),
    CONTEXT: ("decode_tokens_per_s", LimitRule(_read_rate, at_most=False)),
}
"""Of a decoder, by the size of the rows at which it holds."""
LIMITS: dict[str, LimitRule] = {
    "latency_p50_ms": LimitRule(lambda row, _: read_latency(row), at_most=True),
    "peak_rss_bytes": LimitRule(lambda row, _: _exact(row["peak_rss_bytes"]), at_most=True),
    "size_bytes": LimitRule(lambda row, _: _exact(row["size_bytes"]), at_most=True),
    "speedup": LimitRule(_speedup, at_most=False),
    "shrink": LimitRule(_shrink, at_most=False),
}
"""Those that are of no metric."""
AT_EVERY_SIZE = ("latency_p50_ms", "peak_rss_bytes", "speedup")
"""Those that change with the sizes of free axes."""


def metric_limits(
    budget: Budget, reference_score: float, scales: Sequence[Scale]
) -> dict[str, tuple[float | None, LimitRule]]:
    """Return what is wanted of the score and of other metrics, and how it is read.

    Args:
        budget: what names them.
        reference_score: of the teacher, or else of what the run began with, on validation.
        scales: of the task's metrics, the score first.

    Raises:
        InputError: if the budget names a metric that the task has not.
    """
    score, known = scales[0], {scale.name: scale for scale in scales}

    def drop(row: Row, _: Row | None) -> Reading:
        value = row["validation_score"]
        # rounded, so that a difference of exactly one point is not 1.0000000000000009
        drop = None if value is None else score_drop(score, value, reference_score)
        return _exact(None if drop is None else round(drop, 9))

    found = {
        "score_drop": (budget.score_drop, LimitRule(drop, at_most=True)),
        "score": (
            budget.score,
            LimitRule(lambda row, _: _exact(row["validation_score"]), score.better == "lower"),
        ),
    }
    for name, want in budget.metrics.items():
        if name not in known:
            raise InputError(
                f"budget: metrics: got {name!r}, want a metric of the task",
                hint=find_nearest(name, known),
            )
        read = functools.partial(_metric, name)
        found[METRICS + name] = (want, LimitRule(read, known[name].better == "lower"))
    return found


def _metric(name: str, row: Row, _: Row | None) -> Reading:
    return _exact((row.get("metrics") or {}).get(name))


def judge(
    row: Row,
    reference: Row | None,
    budget: Budget,
    reference_score: float,
    scales: Sequence[Scale] = ACCURACY,
) -> list[Verdict]:
    """Judge every limit of the budget against one row and its reference's; for the rest see `metric_limits`."""
    limits = {
        **metric_limits(budget, reference_score, scales),
        **{name: (getattr(budget, name), limit) for name, limit in LIMITS.items()},
    }
    return [
        judge_limit(name, want, limit.read(row, reference), at_most=limit.at_most)
        for name, (want, limit) in limits.items()
        if want is not None
    ]


def judge_sizes(row: Row, reference: Row | None, budget: Budget) -> list[Verdict]:
    """Judge the limits of time and memory against a row at other sizes than the usual and its reference's there; where
    the engine fails there is none to keep."""
    label = "at " + ",".join(f"{name}={size}" for name, size in row["sizes"].items())
    if row["status"] == FAILED:
        reason = f"{label}: {read_status(row)}, want it measured"
        return [Verdict(label, 1.0, None, NOT_MEASURED, 1.0, reason)]
    limits = _limits_at(row)
    limits = {name: rule for name, rule in limits.items() if getattr(budget, name) is not None}
    found = [
        judge_limit(
            f"{name} {label}",
            getattr(budget, name),
            limit.read(row, reference),
            at_most=limit.at_most,
        )
        for name, limit in limits.items()
    ]
    return [verdict._replace(row=row["name"]) for verdict in found]


def _limits_at(row: Row) -> dict[str, LimitRule]:
    """The limits that hold at a row's sizes: a token is no call of the usual kind."""
    for size, (name, rule) in TOKEN_LIMITS.items():
        if size in row["sizes"]:
            return {name: rule, "peak_rss_bytes": LIMITS["peak_rss_bytes"]}
    return {name: LIMITS[name] for name in AT_EVERY_SIZE}


def judge_limit(name: str, want: float, found: Reading, *, at_most: bool) -> Verdict:
    """Judge one limit: ``latency_p50_ms: got 0.41, want at most 0.3 (37 % over)``."""
    value = found.value
    words = f"want at {'most' if at_most else 'least'} {want:.6g}"
    if value is None:
        message = f"{name}: not measured, {words}"
        return Verdict(name, want, None, NOT_MEASURED, 1.0, message)

    def excess(got: float) -> float:
        short = got - want if at_most else want - got
        return short / abs(want) if want else short

    told = f"{name}: got {value:.4g}, {words}"
    if found.worst is not None and excess(found.worst) <= 0:
        return Verdict(name, want, value, MET, 0.0, told)
    turns = found.best is None or excess(found.best) <= 0
    by = excess(value)
    if by <= 0:
        doubt = found.doubt or f"its 95 % interval reaches {found.worst:.4g}"
        short = 1.0 if found.worst is None else excess(found.worst)
        return Verdict(name, want, value, OPEN, short, f"{told}, but {doubt}", turns)
    text = f"{100 * by:.0f} % {'over' if at_most else 'under'}" if want else f"{by:.4g} over"
    return Verdict(name, want, value, MISSED, by, f"{told} ({text})", turns)
