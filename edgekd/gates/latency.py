"""Gate `latency`: the baseline is run again in the same job, in interleaved pairs of fresh processes.

Stored milliseconds are never compared: on a shared host they are off by 6 to 8 % whatever is done.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from edgekd.bench import statistics
from edgekd.bench.call import CONTEXT
from edgekd.bench.call import PROMPT
from edgekd.bench.golden import USUAL
from edgekd.bench.pair.run import PairedRun
from edgekd.bench.pair.run import PairRules
from edgekd.bench.pair.run import run_pairs
from edgekd.bench.pair.significance import sign_test
from edgekd.bench.session import Subject
from edgekd.errors import InputError
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import SizedPart
from edgekd.gate import judge_interval
from edgekd.gate import not_measured_finding
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole

NS_PER_S = 1_000_000_000
TOKENS = {PROMPT: "first-token", CONTEXT: "next-token"}
"""What of a decoder is timed beside a whole text."""


class LatencyConfig(Settings):
    """Allowed slowdown, and the length of the measurement."""

    allowed: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Slowdown of the median at batch 1 that is no regression, as a fraction of the baseline."""
    pairs: Annotated[int, Field(ge=6, le=1000)] = 30
    """Pairs of fresh processes at most; from 20 on it may end earlier, at every tenth."""
    time_s: Positive = 0.25
    """Timed part of one process of the faster model, after warm-up."""
    budget_s: Positive = 600.0
    """No pair starts later."""
    timeout_s: Positive = 120.0
    """After this a process is killed."""
    seed: Whole = 0
    """Of the order of the pairs."""


def judge(pair: ComparedPair, config: LatencyConfig, look: int) -> tuple[Finding, ...]:
    """The median ratio run / baseline with the interval that its looks were paid for; where a model has an engine for other
    sizes than the usual ones, one there, too.

    Raises:
        InputError: if an engine refuses the inputs.
    """
    if pair.emulated:
        return (
            not_measured_finding(
                "latency", "ratio", f"emulated ({pair.emulated})", 1 + config.allowed
            ),
        )
    rules = PairRules(
        pairs=config.pairs,
        delta=config.allowed,
        steady_ns=round(config.time_s * NS_PER_S),
        memory=False,
        budget_s=config.budget_s,
        timeout_s=config.timeout_s,
        seed=config.seed + look,
    )
    found = []
    for name, subjects in _list_subjects(pair).items():
        if isinstance(subjects, str):
            found.append(not_measured_finding(name, "ratio", subjects, 1 + config.allowed))
            continue
        told = run_pairs(*subjects, rules, note=pair.note, worker=pair.worker)
        found.append(_found(told, config.allowed)._replace(gate=name))
    return tuple(found)


def _list_subjects(pair: ComparedPair) -> dict[str, tuple[Subject, Subject] | str]:
    """Baseline and run at the usual sizes; ``latency.longest`` at those of a group of golden samples for which either has
    another engine, or why not; of decoders the first and the next token of a text, too."""
    found: dict[str, tuple[Subject, Subject] | str] = {
        "latency": (pair.baseline.subject, pair.run.subject)
    }
    sides = pair.baseline, pair.run
    parts = [part for side in sides for part in side.parts if USUAL not in part.golden]
    for group in dict.fromkeys(_find_longest(part) for part in parts):
        baseline, run = (side.find_subject(group) for side in sides)
        if baseline is not None and run is not None:
            found[f"latency.{group}"] = baseline, run
        else:
            missing = pair.run if run is None else pair.baseline
            found[f"latency.{group}"] = f"{missing.given}: got no golden samples {group!r}"
    if (length := pair.text_length) is not None:
        for axis, name in TOKENS.items():
            theirs, ours = (side.find_text_subject(axis, length) for side in sides)
            found[f"latency.{name}"] = theirs, ours
    return found


def _find_longest(part: SizedPart) -> str:
    """The group of the largest samples."""
    sizes = {
        name: sum(each[0].size for each in group.inputs.values())
        for name, group in part.golden.items()
    }
    return max(sizes, key=lambda name: sizes[name])


def _found(told: PairedRun, allowed: float) -> Finding:
    if told.refused:
        raise InputError(told.failure)
    compared, valid = told.compared, told.validity()
    if compared is None or compared.interval is None:
        reason = told.failure or f"got {len(told.pairs)} pairs in the time given, want more"
        return not_measured_finding("latency", "ratio", reason, 1 + allowed)
    if not valid.ok:
        reason = f"the machine was not fit: {'; '.join(valid.reasons)}"
        return not_measured_finding("latency", "ratio", reason, 1 + allowed)
    ratios = told.log_ratios()
    # a look that may end the run early is paid for out of the same 5 %
    p_value = sign_test(ratios, math.log1p(allowed)) * statistics.ALPHA / compared.alpha
    drift = ", the machine drifted" if told.snapshot_log.drifts() else ""
    return judge_interval(
        "latency",
        "ratio",
        compared.ratio,
        1 + allowed,
        f"{compared.ratio:.3f} times the baseline's, {compared.pairs} pairs{drift}",
        interval=compared.interval,
        p_value=min(1.0, p_value),
        evidence={
            "log_ratios": ratios,
            "order": told.order,
            "alpha": compared.alpha,
            "warnings": list(valid.warnings),
        },
    )


GATE = Gate("latency", "statistical", "ratio", LatencyConfig, judge)
