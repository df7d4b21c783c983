from __future__ import annotations

from pathlib import Path

import jsonschema
import numpy as np
import pytest

from edgekd import bundle
from edgekd.bundle import signature
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.gating import policy
from edgekd.gating import session
from edgekd.report import gate_result
from edgekd.store import Store
from tests import gate_example
from tests.bundle.test_signature import write_keys

EXACT = ["size:", "complexity:", "operators:", "score:"]


def ask(folder: Path, text: str, *, seed: int = 0) -> session.GatingRequest:
    path = folder / "gates.yaml"
    path.write_text(text)
    samples = folder / "samples.npz"
    np.savez(samples, images=gate_example.images(), labels=gate_example.labels())
    return session.GatingRequest(
        run=gate_example.bundle_at(folder / "run", seed),
        baseline=gate_example.bundle_at(folder / "baseline"),
        policy=policy.load(path),
        store=Store(folder / "store"),
        samples=samples,
    )


def test_from_two_bundles_to_the_published_schema(tmp_path: Path) -> None:
    notes: list[str] = []
    made = session.run_gates(ask(tmp_path, "\n".join(EXACT), seed=5), note=notes.append)
    assert notes[0].startswith("compile ") and "baseline" in notes[0] and notes[1:]
    value = made.model_dump(mode="json", by_alias=True)
    jsonschema.validate(value, gate_result.schema())
    assert value["schema"] == "edgekd.gate/1" and made.verdict == "fail"
    assert made.run.model_sha256 != made.baseline.model_sha256
    assert made.samples is not None and made.samples.count == 400
    assert {o.gate for o in made.outcomes if o.verdict == "fail"} == {"score"}
    assert value["policy"]["score"]["allowed_drop"] == 0.5  # defaults are written out


def test_milliseconds_of_another_machine_end_it_before_anything_runs(tmp_path: Path) -> None:
    told = ask(tmp_path, f"limits: {{latency_p50_ms: 1.0, fingerprint: {'0' * 64!r}}}")
    notes: list[str] = []
    with pytest.raises(MachineError, match="milliseconds of one say nothing of another"):
        session.run_gates(told, note=notes.append)
    assert notes == []


def test_a_key_is_asked_of_the_baseline_and_of_a_run_that_is_a_bundle(tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    asked = ask(tmp_path, "size:")._replace(key=public)
    for folder in (asked.run, asked.baseline):
        with pytest.raises(InputError, match=f"{folder}/signature.json: is missing"):
            session.run_gates(asked)
        digest = bundle.check(folder).manifest.digest
        (folder / "signature.json").write_bytes(signature.sign(digest, private, None))
    assert session.run_gates(asked).verdict == "pass"


def test_without_a_file_of_samples_the_run_s_own_are_looked_for(tmp_path: Path) -> None:
    made = session.run_gates(ask(tmp_path, "score:")._replace(samples=None))
    (found,) = [o for o in made.outcomes if o.gate == "score"]
    assert made.samples is None and made.verdict == "inconclusive"
    assert "the run's test split is not in the store" in found.text
