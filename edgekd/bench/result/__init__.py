"""What a measurement says, in the published schema ``edgekd.bench/2``.

History: 1, the first. 2: the verdict on the machine (`valid`, status ``invalid``), the canary,
scenarios, energy, what of the memory is held, digest of the inputs, affinity, spinning, provenance,
and the raw times' file with its digest. Since 0.3 `latency_p50` is the engine's own time, its inputs and
outputs bound and its graph compiled for the batch; `latency_caller_p50` is what a Python program waits for.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Annotated
from typing import Any
from typing import Literal
from typing import NamedTuple

from pydantic import Field

from edgekd.bench.machine.validity import Validity
from edgekd.bench.metric import MeasuredMetric
from edgekd.bench.result import figures
from edgekd.bench.scenario import figures as scenario_figures
from edgekd.bench.scenario.run import Name
from edgekd.bench.scenario.run import ScenarioRun
from edgekd.bench.scenario.run import ScenarioSelection
from edgekd.bench.session import Measurement
from edgekd.bench.session import Rules
from edgekd.bench.timing import COLD
from edgekd.settings import Settings
from edgekd.settings import omit_default

SCHEMA: Literal["edgekd.bench/2"] = "edgekd.bench/2"
Status = Literal["ok", "unstable", "not_steady", "invalid", "failed"]
"""Every row's word in `edgekd.bench.status`, but that of a recipe's row which is not steady is not settled."""
NS_PER_MS = 1e6


class SubjectFacts(Settings):
    """The measured model: its name, engine, precision and digest."""

    name: str
    runtime: str
    precision: str
    model_sha256: str | None = None
    """Of the ONNX file, the IR's graph, or what the store calls the engine's main file."""
    runtime_version: str | None = None
    size_bytes: int | None = None
    """Of the engine's files together."""

    @property
    def columns(self) -> tuple[str, str]:
        """What `name` is made of: the model, and the engine as `Engine.label` has it."""
        model, _, engine = self.name.rpartition(" ")
        return model, engine


class MeasurementConfig(Settings):
    """The settings of a measurement."""

    scenario: Literal["single_stream"] = "single_stream"
    batch: int
    shapes: dict[str, tuple[int, ...]] = {}
    """Of each input in one call; empty where only the batch is free."""
    threads: int
    affinity: tuple[int, ...] | None = None
    """Cores the worker was allowed, read back from the kernel; null where it does not tell."""
    spin: bool | None = None
    """Whether idle threads of the engine spin; null where that is the engine's own affair."""
    inputs: Literal["given", "seeded"]
    inputs_sha256: str | None = None
    """Of all inputs that were fed, in order; null if no process ended with a result."""
    seed: int


class StoppingRule(Settings):
    """Level 2 of the stopping rule."""

    rule: Literal["median-ci"] = "median-ci"
    target_halfwidth: float
    reached: bool
    processes: int
    budget_s: float


class MachineValidity(Settings):
    """Verdict on whether the machine was fit to be measured, with the reasons."""

    ok: bool
    reasons: tuple[str, ...] = ()
    """Why the numbers do not count."""
    warnings: tuple[str, ...] = ()
    """What may have widened them."""


class Scenario(Settings):
    """One scenario beside single-stream latency."""

    name: Name
    status: Literal["ok", "failed", "unavailable"]
    reason: str = ""
    settings: dict[str, Any]
    processes: int
    metrics: tuple[MeasuredMetric, ...]
    curve: tuple[tuple[float, float], ...] = ()
    """(batch, samples/s) of a throughput sweep; (minutes, p50 in ms) of a sustained run."""


class SubjectResult(Settings):
    """One subject."""

    status: Status
    reason: str = ""
    valid: MachineValidity
    subject: SubjectFacts
    config: MeasurementConfig
    stopping: StoppingRule
    metrics: tuple[MeasuredMetric, ...]
    phases: dict[str, tuple[float, ...]]
    """Start of every process with a warm page cache, by phase, in ms."""
    process_medians_ms: tuple[float, ...]
    scenarios: tuple[Scenario, ...] = ()
    stream: dict[str, str] = omit_default({})
    """Of a decoder's first or next token: ``attention``, the operator and the numbers it computes in, and ``cache``, those
    that keys and values of earlier tokens are kept in."""


class Fingerprint(Settings):
    """Identity of the machine; numbers of two keys are not compared."""

    key: str
    fields: dict[str, Any]
    now: dict[str, Any]
    """Load and uptime: described, not in the key."""


class Canary(Settings):
    """A small fixed piece of work, timed between processes: how steady the machine was."""

    times_ms: tuple[float, ...]
    variation: float | None
    """Standard deviation over mean; above 0.05 the machine drifted."""


class Provenance(Settings):
    """Version, command line and times of a measurement."""

    edgekd: str
    argv: tuple[str, ...]
    device: str
    started_utc: str
    ended_utc: str


class RawFile(Settings):
    """The file with every raw time (gzip of JSON lines)."""

    name: str
    sha256: str
    size_bytes: int


class MeasurementDocument(Settings):
    """The document that ``edgekd bench --json`` prints."""

    format: Annotated[Literal["edgekd.bench/2"], Field(alias="schema")] = SCHEMA
    provenance: Provenance
    fingerprint: Fingerprint
    canary: Canary
    raw: RawFile | None = None
    results: tuple[SubjectResult, ...]


class MeasurementContext(NamedTuple):
    """The facts of a subject's session besides its processes."""

    facts: SubjectFacts
    validity: Validity
    spin: bool | None = None
    scenarios: Mapping[Name, ScenarioRun] = {}
    wanted: ScenarioSelection = ScenarioSelection()


def schema() -> dict[str, Any]:
    """The JSON schema of `MeasurementDocument`."""
    return MeasurementDocument.model_json_schema(mode="serialization")


def status_of(measured: Measurement, validity: Validity | None = None) -> tuple[Status, str]:
    """A word for it and the reason."""
    if measured.failure or not measured.processes:
        return "failed", measured.failure or "the budget ended before the first process"
    if validity is not None and not validity.ok:
        return "invalid", "; ".join(validity.reasons)
    if not measured.reached:
        count = len(measured.processes)
        return "unstable", f"the interval over {count} processes is wider than wanted"
    cold = sum(not process["steady"] for process in measured.processes)
    if 2 * cold > len(measured.processes):
        return "not_steady", f"{cold} of {len(measured.processes)} processes never warmed up"
    return "ok", ""


def make_result(measured: Measurement, rules: Rules, seen: MeasurementContext) -> SubjectResult:
    """Make the published form of one subject's measurement."""
    status, reason = status_of(measured, seen.validity)
    processes = measured.processes
    return SubjectResult(
        status=status,
        reason=reason,
        valid=MachineValidity(**seen.validity._asdict()),
        subject=seen.facts,
        config=_config(measured, rules, seen.spin),
        stopping=StoppingRule(
            target_halfwidth=rules.half_width,
            reached=measured.reached,
            processes=len(processes),
            budget_s=rules.budget_s,
        ),
        metrics=tuple(figures.list_metrics(measured)),
        phases={n: tuple(p["cold_ms"][n] for p in processes if n in p["cold_ms"]) for n in COLD},
        process_medians_ms=tuple(ns / NS_PER_MS for ns in measured.medians_ns()),
        scenarios=tuple(make_scenario(ran, seen.wanted) for ran in seen.scenarios.values()),
        stream=dict((measured.memory or {}).get("stream", {})),
    )


def _config(measured: Measurement, rules: Rules, spin: bool | None) -> MeasurementConfig:
    subject = measured.subject
    last: dict[str, Any] = measured.processes[-1] if measured.processes else {}
    cores: Sequence[int] | None = last.get("affinity")
    return MeasurementConfig(
        batch=subject.batch,
        shapes=subject.call.shapes(),
        threads=subject.engine.threads,
        affinity=None if cores is None else tuple(cores),
        spin=spin,
        inputs="seeded" if subject.inputs is None else "given",
        inputs_sha256=last.get("inputs_sha256"),
        seed=rules.seed,
    )


def make_scenario(ran: ScenarioRun, wanted: ScenarioSelection) -> Scenario:
    """One scenario in the published form."""
    metrics = scenario_figures.list_metrics(ran, wanted)
    first = metrics[0]
    status: Literal["ok", "failed", "unavailable"] = "ok" if first.value is not None else "failed"
    if first.value is None and not ran.failure:
        status = "unavailable"
    return Scenario(
        name=ran.name,
        status=status,
        reason=first.reason if first.value is None else "",
        settings=scenario_figures.describe_settings(ran.name, wanted),
        processes=len(ran.processes),
        metrics=tuple(metrics),
        curve=scenario_figures.make_curve(ran),
    )
