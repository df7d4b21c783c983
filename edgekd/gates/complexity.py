"""Gate `complexity`: weights in the ONNX file, and multiply-accumulates where both runs tell them."""

from __future__ import annotations

from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import judge_exact
from edgekd.gate import not_measured_finding
from edgekd.settings import NonNegative
from edgekd.settings import Settings
from edgekd.units import count_text


class ComplexityConfig(Settings):
    """Allowed growth of each count, as a fraction of the baseline; null is not judged."""

    parameters: NonNegative | None = 0.01
    """Growth of the number of values in the initializers of model.onnx."""
    macs: NonNegative | None = None
    """Growth of the multiply-accumulates for one sample; a bundle alone does not tell them, so both
    have to be run folders."""


def judge(pair: ComparedPair, config: ComplexityConfig, look: int) -> tuple[Finding, ...]:
    """One line each."""
    asked = {"parameters": config.parameters, "macs": config.macs}
    return tuple(
        _judged(pair, name, allowed) for name, allowed in asked.items() if allowed is not None
    )


def _judged(pair: ComparedPair, what: str, allowed: float) -> Finding:
    gate = f"complexity.{what}"
    got, before = (side.complexity.get(what) for side in (pair.run, pair.baseline))
    if got is None or before is None:
        return not_measured_finding(
            gate, "count", "a bundle does not tell it, want two run folders"
        )
    text = f"{count_text(got)} against {count_text(before)}"
    return judge_exact(gate, "count", got, before * (1 + allowed), text, {"baseline": before})


GATE = Gate("complexity", "exact", "count", ComplexityConfig, judge)
