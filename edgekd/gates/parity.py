"""Gate `parity`: the golden answers, asked of the engine now; one that answers wrong is not timed."""

from __future__ import annotations

from edgekd.bench.differences import are_finite
from edgekd.bench.differences import compare_answers
from edgekd.bench.golden import USUAL
from edgekd.bench.outputs import compute_outputs
from edgekd.bundle import decisions
from edgekd.bundle import generation
from edgekd.bundle.manifest import SAME_AGREEMENT
from edgekd.bundle.models import stated_tolerance
from edgekd.gate import ComparedModel
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import SizedPart
from edgekd.gate import judge_exact
from edgekd.gate import not_measured_finding
from edgekd.report.gate_result import Verdict
from edgekd.settings import Positive
from edgekd.settings import Settings

OUTPUTS, AGREEMENT, BASELINE = "parity.outputs", "parity.agreement", "parity.baseline"
TEXT = "parity.text"


class ParityConfig(Settings):
    """Settings of the gate; the tolerances stand in each bundle's manifest."""

    timeout_s: Positive = 600.0
    """After this an engine is given up."""


def judge(pair: ComparedPair, config: ParityConfig, look: int) -> tuple[Finding, ...]:
    """The run's outputs and decisions against what its manifest asks; the baseline's likewise, since
    nothing compares with a baseline that is not itself here."""
    ours = _compared(pair, pair.run, config)
    theirs = _compared(pair, pair.baseline, config)
    wrong = next((found for found in theirs if found.verdict != "pass"), theirs[0])
    held: Verdict = "pass" if wrong.verdict == "pass" else "inconclusive"
    return *ours, wrong._replace(gate=BASELINE, verdict=held)


def _compared(pair: ComparedPair, side: ComparedModel, config: ParityConfig) -> tuple[Finding, ...]:
    """What the first of a model's engines that answers wrong gives, or else the first."""
    told = [_compared_part(pair, side, part, config) for part in side.parts]
    return next((each for each in told if any(one.verdict != "pass" for one in each)), told[0])


def _compared_part(
    pair: ComparedPair, side: ComparedModel, part: SizedPart, config: ParityConfig
) -> tuple[Finding, ...]:
    engine = part.engine
    asked = stated_tolerance(part.tolerance, engine.runtime, engine.precision)
    if asked is None:
        return (
            not_measured_finding(
                OUTPUTS, "difference", "how close it has to be stands in no manifest"
            ),
        )
    answered = {
        name: compute_outputs(engine, path, timeout_s=config.timeout_s, device=pair.device)
        for name, path in part.inputs.items()
    }
    text = "" if are_finite(answered) else "got answers that are no numbers"
    try:
        agree = decisions.find_agree(side.bundle) or decisions.agree_always
        found = compare_answers(answered, part.golden, agree)
    except ValueError as error:
        text = f"got {error}"
    if text:
        return (Finding(OUTPUTS, "difference", None, asked.max_abs, text, "fail"),)
    apart = round(1 - found.mean_agreement, 12)
    written = () if USUAL not in part.golden else _compare_text(pair, side, part, config)
    count = f"{len(found.agreement)} golden samples{_name_sizes(part)}"
    allowed = {name: asked.of_output(name).max_abs for name in found.outputs}
    worst = max(allowed, key=lambda name: _excess(found.outputs[name].max_abs, allowed[name]))
    of_output = f" of {worst}" if len(allowed) > 1 else ""
    return (
        judge_exact(
            OUTPUTS,
            "difference",
            found.outputs[worst].max_abs,
            allowed[worst],
            f"largest difference{of_output} over {count}",
        ),
        judge_exact(
            AGREEMENT,
            "fraction",
            apart,
            round(1 - asked.agreement + SAME_AGREEMENT, 12),
            f"other decisions, of {count}",
        ),
        *written,
    )


def _compare_text(
    pair: ComparedPair, side: ComparedModel, part: SizedPart, config: ParityConfig
) -> tuple[Finding, ...]:
    """Of a decoder, whether it writes the golden text; nothing where the bundle has none."""
    asked = stated_tolerance(part.tolerance, part.engine.runtime, part.engine.precision)
    checks = generation.check_golden_text(
        side.bundle, part.engine, asked, timeout_s=config.timeout_s, device=pair.device
    )
    return tuple(
        judge_exact(TEXT, "fraction", float(check.verdict != "ok"), 0.0, check.text)
        for check in checks
    )


def _name_sizes(part: SizedPart) -> str:
    """`` (longest)`` of a part that is not asked for the usual sizes."""
    return "" if USUAL in part.golden else f" ({', '.join(part.golden)})"


def _excess(max_abs: float, allowed: float) -> tuple[bool, float]:
    return not max_abs <= allowed, max_abs / allowed if allowed else max_abs


GATE = Gate("parity", "exact", "difference", ParityConfig, judge)
