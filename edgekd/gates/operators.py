"""Gate `operators`: kernels of the optimized graph, so that nothing falls back to float unseen.

A file that stays small while its convolutions run in float is slower than it looks; the graph that
the engine made of it tells (FACTS of a small int8 net: 11 float convolutions tripled its latency).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import judge_exact
from edgekd.gate import not_measured_finding
from edgekd.settings import Settings
from edgekd.settings import Whole

FLOATS = ("f16", "bf16", "f32", "f64")
QUANTIZED = ("i4", "u4", "i8", "u8")
KINDS, FLOAT = "operators.kinds", "operators.float"


class OperatorsConfig(Settings):
    """Operators that may be new."""

    allow: Annotated[tuple[str, ...], Field(strict=False, max_length=1000)] = ()
    """Kinds of kernels that may appear, as ``edgekd gate`` names them: ``Conv f32``."""
    float_kernels: Whole = 0
    """How many more float kernels there may be than in a baseline that has quantized ones."""


def judge(pair: ComparedPair, config: OperatorsConfig, look: int) -> tuple[Finding, ...]:
    """Kinds of kernels that the baseline lacks; float kernels beyond the baseline's."""
    one, other = pair.run.engine, pair.baseline.engine
    if (one.runtime, one.precision) != (other.runtime, other.precision):
        reason = (
            f"kernels of {one.runtime} {one.precision} and {other.runtime} {other.precision} "
            "cannot be compared"
        )
        return not_measured_finding(KINDS, "kinds", reason, 0), not_measured_finding(
            FLOAT, "kinds", reason
        )
    return _kinds(pair, config), _floats(pair, config)


def _kinds(pair: ComparedPair, config: OperatorsConfig) -> Finding:
    new = sorted(set(pair.run.kernels) - set(pair.baseline.kernels) - set(config.allow))
    counted = {kind: pair.run.kernels[kind] for kind in new}
    said = ", ".join(f"{count} x {kind}" for kind, count in counted.items())
    text = f"new: {said}" if new else f"none is new among {sum(pair.run.kernels.values())} kernels"
    return judge_exact(KINDS, "kinds", len(new), 0, text, {"new": counted})


def _floats(pair: ComparedPair, config: OperatorsConfig) -> Finding:
    got, before = (_count(side.kernels, FLOATS) for side in (pair.run, pair.baseline))
    if not _count(pair.baseline.kernels, QUANTIZED):
        return judge_exact(
            FLOAT, "kinds", 0, config.float_kernels, "the baseline computes in float"
        )
    text = f"{got} float kernels against {before}"
    evidence = {"run": got, "baseline": before}
    return judge_exact(FLOAT, "kinds", max(0, got - before), config.float_kernels, text, evidence)


def _count(kernels: Mapping[str, int], elements: tuple[str, ...]) -> int:
    return sum(count for kind, count in kernels.items() if kind.rpartition(" ")[2] in elements)


GATE = Gate("operators", "exact", "kinds", OperatorsConfig, judge)
