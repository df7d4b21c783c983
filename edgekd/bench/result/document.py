"""What ``edgekd bench`` hands over: the machine, and one result a subject."""

from __future__ import annotations

import edgekd
from edgekd import files
from edgekd.bench import result
from edgekd.bench.machine import canary
from edgekd.bench.session_record import SessionRecord
from edgekd.bench.session_record import now_utc
from edgekd.bench.user_models import PreparedSubject


def make_document(
    record: SessionRecord, raw: result.RawFile | None = None
) -> result.MeasurementDocument:
    """The published form of a record."""
    monitor, host = record.monitor, record.host
    triples = zip(record.ready, record.measured, record.scenarios, strict=True)
    return result.MeasurementDocument(
        provenance=result.Provenance(
            edgekd=edgekd.__version__,
            argv=record.argv,
            device=host.name,
            started_utc=record.started_utc,
            ended_utc=now_utc(),
        ),
        fingerprint=result.Fingerprint(key=host.key, fields=host.facts, now=host.now),
        canary=result.Canary(
            times_ms=tuple(ns / result.NS_PER_MS for ns in monitor.snapshot_log.canaries_ns),
            variation=canary.compute_variation(monitor.snapshot_log.canaries_ns),
        ),
        raw=raw,
        results=tuple(
            result.make_result(
                found,
                record.rules,
                result.MeasurementContext(
                    facts=subject_facts(one),
                    validity=monitor.validity(found),
                    spin=idle_threads_spin(one.subject.engine.runtime, one.subject.engine.threads),
                    scenarios=ran,
                    wanted=record.wanted,
                ),
            )
            for one, found, ran in triples
        ),
    )


def subject_facts(one: PreparedSubject) -> result.SubjectFacts:
    """Return what was measured, down to the model's digest and the engine's version."""
    engine = one.subject.engine
    return result.SubjectFacts(
        name=one.subject.name,
        runtime=engine.runtime,
        precision=engine.numerics,
        model_sha256=one.sha256 or files.digest_file(one.model),
        runtime_version=one.runtime_version,
        size_bytes=sum(path.stat().st_size for path in engine.files.values()),
    )


def idle_threads_spin(runtime: str, threads: int) -> bool | None:
    """Return whether the engine's idle threads spin; None where that is its own affair."""
    if runtime != "onnxruntime":
        return None
    from edgekd.runtimes import ort

    return ort.spins(threads)
