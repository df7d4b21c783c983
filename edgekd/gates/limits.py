"""Gate `limits`: absolute figures a policy names; milliseconds only on the machine it names too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from typing import Self

from pydantic import Field
from pydantic import model_validator

from edgekd.bench.session import Rules
from edgekd.bench.session import measure_subjects
from edgekd.bench.statistics import median
from edgekd.bench.statistics import summarize_processes
from edgekd.errors import MachineError
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gate import Gate
from edgekd.gate import compute_score_rows
from edgekd.gate import judge_exact
from edgekd.gate import measure_peak_bytes
from edgekd.gate import not_measured_finding
from edgekd.report.gate_result import Unit
from edgekd.report.gate_result import Verdict
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.task import figure_text
from edgekd.task import is_better

NS_PER_MS = 1e6
PEAKS = 3


class LimitsConfig(Settings):
    """Limits that the run has to keep whatever the baseline does; one that is left out does not count."""

    size_bytes: Whole | None = None
    """At most this many bytes of engine files."""
    score: float | None = None
    """The worst score on the samples that passes: at least this, or at most this where lower is better."""
    peak_rss_bytes: Whole | None = None
    """At most this peak of resident memory, the engine and Python included."""
    latency_p50_ms: Positive | None = None
    """At most this median latency, batch 1; wants `fingerprint`."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The machine for which `latency_p50_ms` was set, as ``edgekd bench --json`` names it."""
    budget_s: Positive = 120.0
    """For the latency; no process starts later."""
    timeout_s: Positive = 600.0
    """After this a process is killed."""

    @model_validator(mode="after")
    def _bound(self) -> Self:
        if self.latency_p50_ms is not None and self.fingerprint is None:
            raise ValueError("got latency_p50_ms alone, want the fingerprint of its machine too")
        return self


def require_same_machine(config: LimitsConfig, fingerprint: str) -> None:
    """Require that limits in milliseconds are for this machine.

    Raises:
        MachineError: if milliseconds were set for another.
    """
    if config.latency_p50_ms is not None and config.fingerprint != fingerprint:
        raise MachineError(
            f"limits.latency_p50_ms: got the machine {fingerprint[:12]}, want "
            f"{str(config.fingerprint)[:12]}: milliseconds of one say nothing of another",
            hint="use the gate `latency`, which runs the baseline again here",
        )


def judge(pair: ComparedPair, config: LimitsConfig, look: int) -> tuple[Finding, ...]:
    """One line for each limit that is named."""
    return tuple(_judged(pair, config))


def _judged(pair: ComparedPair, config: LimitsConfig) -> Iterator[Finding]:
    if config.size_bytes is not None:
        text = "bytes of the engine's files"
        yield judge_exact(
            "limits.size_bytes", "bytes", pair.run.size_bytes, config.size_bytes, text
        )
    if config.score is not None:
        yield _score(pair, config.score, config.timeout_s)
    if config.peak_rss_bytes is not None:
        yield _peak(pair, config.peak_rss_bytes, config.timeout_s)
    if config.latency_p50_ms is not None:
        yield _latency(pair, config.latency_p50_ms, config)


def _score(pair: ComparedPair, want: float, timeout_s: float) -> Finding:
    gate = "limits.score"
    if isinstance(pair.samples, str):
        return not_measured_finding(gate, "fraction", pair.samples, want)
    metric, rows = compute_score_rows(pair, pair.run, pair.samples, timeout_s)
    got = metric.value(rows)
    least_or_most = "least" if metric.better == "higher" else "most"
    text = f"{figure_text(metric, got)}, want at {least_or_most} {figure_text(metric, want)}"
    held = got == want or is_better(metric, got, want)
    unit: Unit = "fraction" if metric.unit == "fraction" else "score"
    return Finding(gate, unit, got, want, text, "pass" if held else "fail")


def _peak(pair: ComparedPair, most: int, timeout_s: float) -> Finding:
    gate = "limits.peak_rss_bytes"
    if pair.emulated:
        return not_measured_finding(gate, "bytes", f"emulated ({pair.emulated})", most)
    peaks = [measure_peak_bytes(pair, pair.run, timeout_s) for _ in range(PEAKS)]
    known = [peak for peak in peaks if peak is not None]
    if not known:
        return not_measured_finding(
            gate, "bytes", "this system does not tell a process's peak", most
        )
    text = f"median peak of {len(known)} processes"
    return judge_exact(gate, "bytes", median(known), most, text, {"run": known})


def _latency(pair: ComparedPair, most: float, config: LimitsConfig) -> Finding:
    gate = "limits.latency_p50_ms"
    if pair.emulated:
        return not_measured_finding(gate, "ms", f"emulated ({pair.emulated})", most)
    rules = Rules(budget_s=config.budget_s, timeout_s=config.timeout_s)
    (told,) = measure_subjects([pair.run.subject], rules, note=pair.note, worker=pair.worker)
    medians_ms = [ns / NS_PER_MS for ns in told.medians_ns()]
    found = summarize_processes(medians_ms) if medians_ms else None
    if found is None or found.interval is None:
        reason = told.failure or f"got {len(medians_ms)} processes, want more"
        return not_measured_finding(gate, "ms", reason, most)
    text = f"median of {len(medians_ms)} processes"
    verdict: Verdict = "fail" if found.interval.low > most else "inconclusive"
    if found.interval.high <= most:
        verdict = "pass"
    evidence = {"process_medians_ms": medians_ms}
    return Finding(gate, "ms", found.value, most, text, verdict, found.interval, evidence=evidence)


GATE = Gate("limits", "limit", "count", LimitsConfig, judge)
