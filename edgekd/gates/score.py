"""Gate `score`: both models answer the same samples; what counts is where they differ."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Annotated

from pydantic import Field

from edgekd.bench.pair import significance
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import compute_score_rows
from edgekd.gate import judge_interval
from edgekd.gate import not_measured_finding
from edgekd.sampling_error import is_right_or_wrong
from edgekd.settings import Count
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.task import figure_text
from edgekd.units import number_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.report.gate_result import Unit
    from edgekd.task import Metric


LEAST_DRAWS = 1000
"""With fewer, no p-value is small enough beside those of other gates."""


class ScoreConfig(Settings):
    """Allowed drop of the score, and the samples and draws that decide."""

    allowed_drop: NonNegative = 0.5
    """How much worse than the baseline is no regression: percentage points where the score is a fraction, its own
    unit otherwise."""
    samples_min: Count = 100
    """Fewer samples than this decide nothing."""
    resamples: Annotated[int, Field(ge=1000, le=10**6)] = 10_000
    """Draws of the paired bootstrap; of a score that is no share of right answers a tenth, and at least 1,000."""
    seed: Whole = 0
    """Of the bootstrap."""
    timeout_s: Positive = 1800.0
    """After this an engine is given up."""


def judge(pair: ComparedPair, config: ScoreConfig, look: int) -> tuple[Finding, ...]:
    """The score on the same samples, each model's inputs prepared as its own bundle says."""
    samples = pair.samples
    if isinstance(samples, str):
        return (not_measured_finding("score", "points", samples, config.allowed_drop),)
    if samples.sample_count < config.samples_min:
        reason = f"got {samples.sample_count} samples, want at least {config.samples_min}"
        return (not_measured_finding("score", "points", reason, config.allowed_drop),)
    metric, ours = compute_score_rows(pair, pair.run, samples, config.timeout_s)
    _, theirs = compute_score_rows(pair, pair.baseline, samples, config.timeout_s)
    exact = all(is_right_or_wrong(metric, rows) for rows in (ours, theirs))
    compare = _compare_right if exact else _compare
    found, more, evidence = compare(metric, ours, theirs, config, look)
    text = (
        f"{figure_text(metric, metric.value(ours))} against "
        f"{figure_text(metric, metric.value(theirs))} on {number_text(samples.sample_count, 'sample')} of "
        f"{samples.source}{more}"
    )
    unit: Unit = "points" if metric.unit == "fraction" else "score"
    return (
        judge_interval(
            "score",
            unit,
            found.points,
            config.allowed_drop,
            text,
            interval=found.interval,
            p_value=found.p_value,
            evidence={"samples": samples.sample_count, **evidence},
        ),
    )


def _compare_right(
    metric: Metric,
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    config: ScoreConfig,
    look: int,
) -> tuple[significance.ScoreDrop, str, dict[str, float]]:
    """Of right answers alone those that differ count: exact tests."""
    right, was_right = ours[:, 0] > 0, theirs[:, 0] > 0
    lost, gained = int((was_right & ~right).sum()), int((right & ~was_right).sum())
    found = significance.estimate_drop(
        lost,
        gained,
        len(ours),
        config.allowed_drop,
        resamples=config.resamples,
        seed=config.seed + look,
    )
    text = f": {lost} lost, {gained} gained, McNemar p = {found.mcnemar_p:.2g}"
    return found, text, {"lost": lost, "gained": gained, "mcnemar_p": found.mcnemar_p}


def _compare(
    metric: Metric,
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    config: ScoreConfig,
    look: int,
) -> tuple[significance.ScoreDrop, str, dict[str, float]]:
    found = significance.estimate_metric_drop(
        metric,
        ours,
        theirs,
        config.allowed_drop,
        resamples=max(LEAST_DRAWS, config.resamples // 10),
        seed=config.seed + look,
    )
    return found, "", {}


GATE = Gate("score", "statistical", "points", ScoreConfig, judge)
