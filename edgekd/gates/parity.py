"""Gate `parity`: the golden answers, asked of the engine now; one that answers wrong is not timed."""

from __future__ import annotations

from edgekd.bench.golden import USUAL
from edgekd.bench.outputs import outputs
from edgekd.bench.outputs import read_output
from edgekd.bundle.verify import stated_tolerance
from edgekd.gate import ComparedModel
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import judge_exact
from edgekd.gate import not_measured_finding
from edgekd.report.gate_result import Verdict
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.tasks import classification

LOGITS, TOP1, BASELINE = "parity.logits", "parity.top1", "parity.baseline"


class Config(Settings):
    """What is allowed stands in each bundle's manifest."""

    timeout_s: Positive = 600.0
    """After this an engine is given up."""


def judge(pair: ComparedPair, config: Config, look: int) -> tuple[Finding, ...]:
    """The run's logits and classes against what its manifest asks; the baseline's likewise, since
    nothing compares with a baseline that is not itself here."""
    ours = _compared(pair, pair.run, config)
    theirs = _compared(pair, pair.baseline, config)
    wrong = next((found for found in theirs if found.verdict != "pass"), theirs[0])
    held: Verdict = "pass" if wrong.verdict == "pass" else "inconclusive"
    return *ours, wrong._replace(gate=BASELINE, verdict=held)


def _compared(pair: ComparedPair, side: ComparedModel, config: Config) -> tuple[Finding, ...]:
    import numpy as np

    engine, want = side.engine, side.bundle.golden[USUAL].first_output
    asked = stated_tolerance(side.bundle.manifest.tolerance, engine.runtime, engine.precision)
    if asked is None:
        return (
            not_measured_finding(LOGITS, "logits", "how close it has to be stands in no manifest"),
        )
    got = read_output(
        outputs(engine, side.inputs, timeout_s=config.timeout_s, device=pair.device), side.given
    )
    if got.shape != want.shape:
        text = f"got answers {list(got.shape)}, want {list(want.shape)}"
        return (Finding(LOGITS, "logits", None, asked.max_abs, text, "fail"),)
    if not np.isfinite(got).all():
        return (
            Finding(
                LOGITS, "logits", None, asked.max_abs, "got answers that are no numbers", "fail"
            ),
        )
    max_abs = float(np.abs(got - want).max())
    apart = round(1 - classification.top1_agreement(got, want), 12)
    count = f"{len(want)} golden samples"
    return (
        judge_exact(LOGITS, "logits", max_abs, asked.max_abs, f"largest difference over {count}"),
        judge_exact(
            TOP1, "fraction", apart, round(1 - asked.top1_agreement, 12), f"other class, of {count}"
        ),
    )


GATE = Gate("parity", "exact", "logits", Config, judge)
