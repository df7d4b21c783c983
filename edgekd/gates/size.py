"""Gate `size`: the bytes of the engine's files, both compiled here by the same versions."""

from __future__ import annotations

from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import judge_exact
from edgekd.settings import NonNegative
from edgekd.settings import Settings
from edgekd.units import bytes_text


class SizeConfig(Settings):
    """Allowed growth of the files."""

    allowed: NonNegative = 0.01
    """Growth, as a fraction of the baseline. Not 0: exporters of two versions name nodes
    differently, which is some hundred bytes."""


def judge(pair: ComparedPair, config: SizeConfig, look: int) -> tuple[Finding, ...]:
    """The run's bytes against the baseline's."""
    got, before = pair.run.size_bytes, pair.baseline.size_bytes
    text = f"{bytes_text(got)} against {bytes_text(before)}"
    allowed = before * (1 + config.allowed)
    return (judge_exact("size", "bytes", got, allowed, text, {"baseline": before}),)


GATE = Gate("size", "exact", "bytes", SizeConfig, judge)
