"""Gate `score`: both models answer the same labelled samples; what counts is where they differ."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgekd.bench.pair import paired
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import correct_answers
from edgekd.gate import judge_interval
from edgekd.gate import not_measured_finding
from edgekd.settings import Count
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.units import number_text
from edgekd.units import percent_text


class Config(Settings):
    """How much may be lost."""

    allowed_drop: NonNegative = 0.5
    """Percentage points of top-1 accuracy below the baseline that are no regression."""
    samples_min: Count = 100
    """Fewer samples than this decide nothing."""
    resamples: Annotated[int, Field(ge=1000, le=10**6)] = 10_000
    """Draws of the paired bootstrap."""
    seed: Whole = 0
    """Of the bootstrap."""
    timeout_s: Positive = 1800.0
    """After this an engine is given up."""


def judge(pair: ComparedPair, config: Config, look: int) -> tuple[Finding, ...]:
    """Top-1 on the same samples, each model's pixels prepared as its own bundle says."""
    allowed = config.allowed_drop
    if isinstance(pair.samples, str):
        return (not_measured_finding("score", "points", pair.samples, allowed),)
    count = len(pair.samples.labels)
    if count < config.samples_min:
        reason = f"got {count} samples, want at least {config.samples_min}"
        return (not_measured_finding("score", "points", reason, allowed),)
    ours, theirs = (
        correct_answers(pair, side, pair.samples, config.timeout_s)
        for side in (pair.run, pair.baseline)
    )
    lost, gained = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    found = paired.estimate_drop(
        lost, gained, count, allowed, resamples=config.resamples, seed=config.seed + look
    )
    text = (
        f"{percent_text(float(ours.mean()))} against {percent_text(float(theirs.mean()))} on "
        f"{number_text(count, 'sample')} of {pair.samples.source}: {lost} lost, {gained} gained, "
        f"McNemar p = {found.mcnemar_p:.2g}"
    )
    evidence = {"lost": lost, "gained": gained, "samples": count, "mcnemar_p": found.mcnemar_p}
    return (
        judge_interval(
            "score",
            "points",
            found.points,
            allowed,
            text,
            interval=found.interval,
            p_value=found.p_value,
            evidence=evidence,
        ),
    )


GATE = Gate("score", "statistical", "points", Config, judge)
