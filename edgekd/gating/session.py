"""One gating from two paths to the published document."""

from __future__ import annotations

import datetime
import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

import edgekd
from edgekd.bench.machine.host import describe_host
from edgekd.bench.process import run_worker
from edgekd.bench.session import Note
from edgekd.bench.session import Worker
from edgekd.device import Device
from edgekd.devices import local
from edgekd.gate import ComparedModel
from edgekd.gate import ComparedPair
from edgekd.gate import EvaluationSamples
from edgekd.gates import limits
from edgekd.gating import samples as labelled
from edgekd.gating import sides
from edgekd.gating.judge import judge_policy
from edgekd.gating.policy import Policy
from edgekd.report.gate_result import GateDocument
from edgekd.report.gate_result import SampleFacts
from edgekd.report.gate_result import SideFacts
from edgekd.report.gate_result import overall_verdict
from edgekd.store import Store


class GatingRequest(NamedTuple):
    """The two runs to compare, and where."""

    run: Path
    """A run folder, a bundle folder or a bundle in one file."""
    baseline: Path
    policy: Policy
    store: Store
    """Where the run's test split lies; only read."""
    samples: Path | None = None
    """An .npz file instead."""
    device: Device = local.DEVICE
    key: Path | None = None
    """Public key that must have signed the baseline, and the run if it is no run folder."""
    allow_code: bool = False
    """Whether the authors' own task may run."""


def run_gates(
    ask: GatingRequest, *, note: Note = lambda text: None, worker: Worker = run_worker
) -> GateDocument:
    """Open both, compile both on the device, ask every gate.

    Raises:
        InputError: if a path holds no bundle, or the two cannot be compared.
        MachineError: if the device lacks an engine, or a limit in ms is of another machine.
    """
    with (
        tempfile.TemporaryDirectory(prefix="edgekd-") as folder,
        sides.open_side(ask.run, key=None if sides.is_run(ask.run) else ask.key) as run,
        sides.open_side(ask.baseline, key=ask.key) as baseline,
    ):
        scratch, site = Path(folder), describe_host(ask.device)
        if ask.policy.limits is not None:
            limits.require_same_machine(ask.policy.limits, site.key)
        note(f"compile {ask.run} and {ask.baseline}")
        pair = ComparedPair(
            samples=_samples(ask, run, baseline, scratch),
            run=sides.compile_side(run, ask.device, scratch / "run"),
            baseline=sides.compile_side(baseline, ask.device, scratch / "baseline"),
            fingerprint=site.key,
            emulated=site.emulated,
            device=ask.device,
            allow_code=ask.allow_code,
            note=note,
            worker=functools.partial(worker, device=ask.device),
        )
        return make_document(pair, ask.policy)


def make_document(pair: ComparedPair, policy: Policy) -> GateDocument:
    """The judgement in its published form."""
    outcomes = judge_policy(pair, policy)
    now = datetime.datetime.now(datetime.UTC)
    told = pair.samples
    return GateDocument(
        edgekd=edgekd.__version__,
        ended_utc=now.isoformat(timespec="seconds"),
        device=pair.device.name,
        fingerprint=pair.fingerprint,
        run=_facts(pair.run),
        baseline=_facts(pair.baseline),
        samples=_sample_facts(told) if isinstance(told, EvaluationSamples) else None,
        policy=policy.model_dump(mode="json"),
        verdict=overall_verdict(outcomes),
        outcomes=outcomes,
    )


def _samples(
    ask: GatingRequest, run: sides.OpenedSide, baseline: sides.OpenedSide, scratch: Path
) -> EvaluationSamples | str:
    if ask.samples is not None:
        return labelled.read(ask.samples, run, baseline, scratch)
    return labelled.find_samples(run, baseline, ask.store)


def _facts(side: ComparedModel) -> SideFacts:
    manifest, engine = side.bundle.manifest, side.engine
    return SideFacts(
        given=side.given,
        name=manifest.name,
        bundle_digest=manifest.digest,
        model_sha256=manifest.files["model.onnx"].sha256,
        runtime=engine.runtime,
        runtime_version=side.runtime_version,
        precision=engine.precision,
        threads=engine.threads,
        size_bytes=side.size_bytes,
        near_chance=side.near_chance,
    )


def _sample_facts(told: EvaluationSamples) -> SampleFacts:
    return SampleFacts(source=told.source, count=told.sample_count, sha256=told.sha256)
