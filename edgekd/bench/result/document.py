"""What ``edgekd bench`` hands over: the machine, and one result a subject."""

from __future__ import annotations

import edgekd
from edgekd import files
from edgekd.bench import result
from edgekd.bench.machine import canary
from edgekd.bench.sitting import Sitting
from edgekd.bench.sitting import now_utc
from edgekd.bench.user_models import Ready


def document(sitting: Sitting, raw: result.Raw | None = None) -> result.Document:
    """The published form of a sitting."""
    watch, site = sitting.watch, sitting.site
    triples = zip(sitting.ready, sitting.measured, sitting.scenarios, strict=True)
    return result.Document(
        provenance=result.Provenance(
            edgekd=edgekd.__version__,
            argv=sitting.argv,
            device=site.name,
            started_utc=sitting.started_utc,
            ended_utc=now_utc(),
        ),
        fingerprint=result.Fingerprint(key=site.key, fields=site.facts, now=site.now),
        canary=result.Canary(
            times_ms=tuple(ns / result.NS_PER_MS for ns in watch.looks.canaries_ns),
            variation=canary.variation(watch.looks.canaries_ns),
        ),
        raw=raw,
        results=tuple(
            result.result(
                found,
                sitting.rules,
                result.Seen(
                    facts=facts(one),
                    validity=watch.validity(found),
                    spin=spins(one.subject.engine.runtime, one.subject.engine.threads),
                    scenarios=ran,
                    wanted=sitting.wanted,
                ),
            )
            for one, found, ran in triples
        ),
    )


def facts(one: Ready) -> result.SubjectFacts:
    """What was measured, down to the model's digest and the engine's version."""
    engine = one.subject.engine
    return result.SubjectFacts(
        name=one.subject.name,
        runtime=engine.runtime,
        precision=engine.numerics,
        model_sha256=one.sha256 or files.digest_file(one.model),
        runtime_version=one.runtime_version,
        size_bytes=sum(path.stat().st_size for path in engine.files.values()),
    )


def spins(runtime: str, threads: int) -> bool | None:
    """Whether the engine's idle threads spin; None where that is its own affair."""
    if runtime != "onnxruntime":
        return None
    from edgekd.runtimes import ort

    return ort.spins(threads)
