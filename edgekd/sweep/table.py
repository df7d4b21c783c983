"""The frontier of a sweep as rows of text, for a terminal or a notebook."""

from __future__ import annotations

from edgekd.report.html.frontier import interval_text
from edgekd.sweep.document import SweepDocument
from edgekd.sweep.outcome import SettingOutcome
from edgekd.sweep.space import describe_setting
from edgekd.task import value_text
from edgekd.units import bytes_text
from edgekd.units import number_text


def list_rows(sweep: SweepDocument) -> list[tuple[str, ...]]:
    """A header and a row a setting on the frontier, the winner's last where it lies beside it; empty of none."""
    if not sweep.settings:
        return []
    scale = sweep.settings[0].scale
    header = ("setting", f"validation {scale.name}", "latency, ms", "memory", "row", "budget")
    best = [sweep.settings[number] for number in sweep.frontier]
    winner = sweep.winner_outcome
    if winner is not None and winner not in best:
        best.append(winner)
    return [header, *(_describe_row(each, sweep) for each in best)]


def describe_progress(sweep: SweepDocument) -> str:
    """How many settings are done, failed or at work, and how many are on the frontier."""
    done = f"{len(sweep.settings)} of {number_text(sweep.wanted, 'setting')} done"
    failed = f", {len(sweep.failures)} failed" if sweep.failures else ""
    running = f", {sweep.running} at work in other processes" if sweep.running else ""
    return f"{done}{failed}{running}; {len(sweep.frontier)} on the frontier"


def describe_test(winner: SettingOutcome) -> str:
    """The winner's score on the test set, the mean of its runs; empty where it was not evaluated."""
    tested = [score for score in winner.test_scores if score is not None]
    if not tested:
        return ""
    mean = value_text(winner.scale, sum(tested) / len(tested))
    of = "" if len(tested) == 1 else f", the mean of {number_text(len(tested), 'run')}"
    return f"test {winner.scale.name} of the winner: {mean}{of}"


def describe_miss(sweep: SweepDocument) -> str:
    """Which limits the nearest setting misses; empty where there is a winner, or nothing to say."""
    if sweep.winner is not None or not sweep.settings:
        return ""
    least = min(sweep.settings, key=lambda each: sum(each.excess))
    missed = "; ".join(line.message for line in least.budget if line.verdict != "met")
    return f"budget: none of {len(sweep.settings)} settings is inside; nearest: {missed}"


def _describe_row(each: SettingOutcome, sweep: SweepDocument) -> tuple[str, ...]:
    row = each.row
    score = value_text(each.scale, float(row.validation_score or 0.0))
    if row.validation_ci95 is not None:
        score += f" ({interval_text(row.validation_ci95, each.scale)})"
    latency = f"{row.latency_p50_ms:.3g}"
    if row.latency_ci95_ms is not None:
        latency += f" ({row.latency_ci95_ms[0]:.3g} to {row.latency_ci95_ms[1]:.3g})"
    memory = "–" if row.peak_rss_bytes is None else bytes_text(row.peak_rss_bytes)
    budget = "kept" if each.is_inside else "open" if each.is_open else "missed"
    winner = ", winner" if each is sweep.winner_outcome else ""
    return f"{describe_setting(each.setting)}{winner}", score, latency, memory, row.name, budget
