"""What ``edgekd bench`` hands over: the machine, and one result a subject."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import edgekd
from edgekd import files
from edgekd.bench import fingerprint
from edgekd.bench import result
from edgekd.bench.session import Measured
from edgekd.bench.session import Rules
from edgekd.bench.user_models import Ready


def document(ready: Sequence[Ready], measured: Sequence[Measured], rules: Rules) -> result.Document:
    """The published form of a sitting; `ready` and `measured` go in pairs."""
    now = datetime.datetime.now(datetime.UTC)
    return result.Document(
        edgekd=edgekd.__version__,
        ended_utc=now.isoformat(timespec="seconds"),
        fingerprint=result.Fingerprint(
            key=fingerprint.key(),
            fields=fingerprint.host_facts(),
            now=fingerprint.beside_the_key(),
        ),
        results=tuple(
            result.result(found, rules, facts(one))
            for one, found in zip(ready, measured, strict=True)
        ),
    )


def facts(one: Ready) -> result.SubjectFacts:
    """What was measured, down to the model's digest and the engine's version."""
    engine = one.subject.engine
    return result.SubjectFacts(
        name=one.subject.name,
        runtime=engine.runtime,
        precision=engine.precision,
        model_sha256=files.digest_file(one.model),
        runtime_version=one.runtime_version,
    )
