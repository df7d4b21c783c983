"""What ``edgekd bench compare`` hands over, in the published schema ``edgekd.compare/1``.

History: 1, the first.
"""

from __future__ import annotations

import datetime
import math
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import Field

import edgekd
from edgekd.bench import statistics
from edgekd.bench.machine import canary
from edgekd.bench.machine.host import Host
from edgekd.bench.pair import comparison
from edgekd.bench.pair.comparison import Verdict
from edgekd.bench.pair.run import METRICS
from edgekd.bench.pair.run import PairedRun
from edgekd.bench.result import Canary
from edgekd.bench.result import Fingerprint
from edgekd.bench.result import SubjectFacts
from edgekd.settings import Settings

SCHEMA: Literal["edgekd.compare/1"] = "edgekd.compare/1"
NS_PER_MS = 1e6
Limits = tuple[float, float]


class ComparedSide(Settings):
    """One of the two models."""

    subject: SubjectFacts
    batch: int
    threads: int
    inputs: Literal["given", "seeded"]
    latency_p50_ms: float | None
    """Median of the process medians; null where the machine drifted too much for milliseconds."""
    latency_p50_ci95_ms: Limits | None
    peak_rss_bytes: int | None
    process_medians_ms: tuple[float, ...]


class Ratio(Settings):
    """B over A in one metric."""

    metric: str
    ratio: float | None
    """Median over the pairs; null where a process has too few runs to tell."""
    interval: Limits | None
    """Order statistics of the pairs, missing the truth at most `alpha` of the time."""
    alpha: float
    bootstrap_ci95: Limits | None
    drifting: bool
    """Whether neighbouring pairs resemble each other; the interval is widened for it."""
    pairs: int


class MachineFitness(Settings):
    """Verdict on whether the machine was fit to be measured, with the reasons."""

    ok: bool
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


class ComparisonDocument(Settings):
    """One comparison."""

    format: Annotated[Literal["edgekd.compare/1"], Field(alias="schema")] = SCHEMA
    edgekd: str
    ended_utc: str
    fingerprint: Fingerprint
    verdict: Verdict
    """Of B beside A; ``unresolved`` is not ``equivalent``."""
    sentence: str
    delta: float
    a: ComparedSide
    b: ComparedSide
    ratios: tuple[Ratio, ...]
    """The verdict is on the first."""
    order: str
    seed: int
    warm_up: int
    iterations: int
    """Of each process."""
    canary: Canary
    valid: MachineFitness


def schema() -> dict[str, Any]:
    """The JSON schema of `ComparisonDocument`."""
    return ComparisonDocument.model_json_schema(mode="serialization")


def make_document(
    found: PairedRun, facts: tuple[SubjectFacts, SubjectFacts], host: Host
) -> ComparisonDocument:
    """The published form of a finished comparison.

    Args:
        found: one with a verdict.
        facts: of A and of B.
        host: the machine.
    """
    assert found.compared is not None and found.counts is not None
    now = datetime.datetime.now(datetime.UTC)
    return ComparisonDocument(
        edgekd=edgekd.__version__,
        ended_utc=now.isoformat(timespec="seconds"),
        fingerprint=Fingerprint(key=host.key, fields=host.facts, now=host.now),
        verdict=found.compared.verdict,
        sentence=verdict_sentence(found.compared),
        delta=found.rules.delta,
        a=_side(found, "a", facts[0]),
        b=_side(found, "b", facts[1]),
        ratios=tuple(_ratio(found, metric) for metric in METRICS),
        order=found.order,
        seed=found.rules.seed,
        warm_up=found.counts.warm_up,
        iterations=found.counts.iterations,
        canary=Canary(
            times_ms=tuple(ns / NS_PER_MS for ns in found.snapshot_log.canaries_ns),
            variation=canary.compute_variation(found.snapshot_log.canaries_ns),
        ),
        valid=MachineFitness(**found.validity()._asdict()),
    )


def verdict_sentence(found: comparison.PairComparison) -> str:
    """The verdict as one says it."""
    if found.interval is None:
        return f"Unresolved: {found.pairs} pairs are too few for an interval."
    low, high = found.interval
    level = f"{100 * (1 - found.alpha):.3g} % interval"
    told = f"{found.ratio:.3f} of A's time ({level} {low:.3f} to {high:.3f}, {found.pairs} pairs)"
    margin = f"{100 * found.delta:.3g} %"
    return {
        "faster": f"B is faster: it takes {told}.",
        "slower": f"B is slower: it takes {told}.",
        "equivalent": f"B is as fast as A to within {margin}: it takes {told}.",
        "unresolved": f"Unresolved: B takes {told}; that neither clears {margin} nor stays within.",
    }[found.verdict]


def _side(found: PairedRun, letter: Literal["a", "b"], facts: SubjectFacts) -> ComparedSide:
    subject = found.a if letter == "a" else found.b
    medians_ms = [ns / NS_PER_MS for ns in found.medians_ns()[letter == "b"]]
    across = None if found.snapshot_log.drifts() else statistics.summarize_processes(medians_ms)
    return ComparedSide(
        subject=facts,
        batch=subject.batch,
        threads=subject.engine.threads,
        inputs="seeded" if subject.inputs is None else "given",
        latency_p50_ms=None if across is None else across.value,
        latency_p50_ci95_ms=None if across is None else _limits(across.interval),
        peak_rss_bytes=found.memory.get(letter, {}).get("peak_rss_bytes"),
        process_medians_ms=tuple(medians_ms),
    )


def _ratio(found: PairedRun, metric: str) -> Ratio:
    assert found.compared is not None
    log_ratios, alpha = found.log_ratios(metric), found.compared.alpha
    if not log_ratios:
        return Ratio(
            metric=metric,
            ratio=None,
            interval=None,
            alpha=alpha,
            bootstrap_ci95=None,
            drifting=False,
            pairs=0,
        )
    judged = comparison.judge(log_ratios, alpha=alpha, seed=found.rules.seed)
    return Ratio(
        metric=metric,
        ratio=judged.ratio if math.isfinite(judged.ratio) else None,
        interval=_limits(judged.interval),
        alpha=alpha,
        bootstrap_ci95=_limits(judged.bootstrap),
        drifting=judged.drifting,
        pairs=judged.pairs,
    )


def _limits(interval: statistics.Interval | None) -> Limits | None:
    return None if interval is None else (interval.low, interval.high)
