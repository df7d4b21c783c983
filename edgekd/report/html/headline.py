"""The headline of a page: what came out, with its uncertainty."""

from __future__ import annotations

from edgekd.report import markdown
from edgekd.report.html.frontier import interval_text
from edgekd.report.result import Comparison
from edgekd.report.result import Result
from edgekd.task import Scale
from edgekd.task import drop_text
from edgekd.task import value_text
from edgekd.units import times_text


def write_headline(result: Result) -> str:
    """One sentence with 95 % intervals in parentheses: the chosen row beside its teacher's, or by itself where no
    teacher was measured."""
    scale = Scale(**result.metric.model_dump())
    if result.comparison is not None and result.chosen is not None:
        return _compared(result, result.comparison, scale)
    row = next((row for row in result.candidates if row.name == result.chosen), None)
    if row is None:
        return markdown.headline(result)
    parts = []
    tested = row.score is not None
    score, interval = (
        (row.score, row.score_ci95) if tested else (row.validation_score, row.validation_ci95)
    )
    if score is not None:
        sure = f" ({interval_text(interval, scale)})" if interval else ""
        parts.append(f"{value_text(scale, score)} {scale.name}{sure}")
    if row.latency_p50_ms is not None:
        ends = row.latency_ci95_ms
        sure = f" ({ends[0]:.3g} to {ends[1]:.3g})" if ends else ""
        parts.append(f"{row.latency_p50_ms:.3g} ms{sure}{markdown.status_note(result)}")
    text = f"{row.name}: {', '.join(parts)}" if parts else f"{row.name} was chosen"
    return f"{markdown.guess_note(result)}{text}"


def _compared(result: Result, found: Comparison, scale: Scale) -> str:
    faster, interval = found.times_faster, found.times_faster_ci95
    speed = times_text(faster, *markdown.SPEED)
    if interval is not None and all(interval):
        ends = sorted(interval if faster >= 1 else (1 / end for end in interval))
        speed += f" ({' to '.join(f'{end:.1f}' for end in ends)})"
    drop = found.score_drop
    score = f"{drop_text(scale, drop, 1)} {markdown.name_side(scale, drop)} {markdown.name_compared(found)}"
    if found.score_drop_ci95 is not None:
        low, high = found.score_drop_ci95
        low, high = (low, high) if drop >= 0 else (-high, -low)
        digits = ".1f" if scale.unit == "fraction" else ".3g"
        score += f" ({low:{digits}} to {high:{digits}})".replace("-", "−")
    size = times_text(found.times_smaller, *markdown.SIZE)
    return f"{markdown.guess_note(result)}{size}, {speed}{markdown.status_note(result)}, {score}"
