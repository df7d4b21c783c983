from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from edgekd import bundle
from edgekd import splits
from edgekd.bundle import signature
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.gating import policy
from edgekd.gating import session
from edgekd.report import gate_result
from edgekd.store import Store
from tests import gate_example
from tests.bundle import numbers_example
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
    assert value["schema"] == "edgekd.gate/2" and made.verdict == "fail"
    assert made.run.model_sha256 != made.baseline.model_sha256
    assert made.samples is not None and made.samples.count == 400
    assert {o.gate for o in made.outcomes if o.verdict == "fail"} == {"score"}
    assert value["policy"]["score"]["allowed_drop"] == 0.5  # defaults are written out
    first = value | {"schema": "edgekd.gate/1"}
    first["samples"] = {
        "images_sha256" if k == "sha256" else k: v for k, v in first["samples"].items()
    }
    first["outcomes"] = [
        outcome | {"unit": "logits"} if outcome["unit"] == "difference" else outcome
        for outcome in first["outcomes"]
    ]
    assert gate_result.GateDocument.model_validate_json(json.dumps(first)).samples == made.samples


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
        digest = bundle.load_bundle(folder).manifest.digest
        (folder / "signature.json").write_bytes(signature.sign(digest, private, None))
    assert session.run_gates(asked).verdict == "pass"


def test_without_a_file_of_samples_the_run_s_own_are_looked_for(tmp_path: Path) -> None:
    made = session.run_gates(ask(tmp_path, "score:")._replace(samples=None))
    (found,) = [o for o in made.outcomes if o.gate == "score"]
    assert made.samples is None and made.verdict == "inconclusive"
    assert "the run's test split is not in the store" in found.text


BOTH = pytest.mark.parametrize("dataset", [numbers_example.ONE, numbers_example.TWO])
NUMBERS = "size:\ncomplexity:\noperators:\nparity:\nscore: {allowed_drop: 0.05}\n"


def ask_numbers(
    folder: Path, dataset: Dataset, text: str = NUMBERS, *, run: float = 0, baseline: float = 0
) -> session.GatingRequest:
    """Two bundles of numbers, with that much noise on their weights, and samples of their own."""
    (folder / "gates.yaml").write_text(text)
    np.savez(folder / "samples.npz", **numbers_example.rows(dataset))
    return session.GatingRequest(
        run=numbers_example.make(folder / "run", dataset, run),
        baseline=numbers_example.make(folder / "baseline", dataset, baseline),
        policy=policy.load(folder / "gates.yaml"),
        store=Store(folder / "store"),
        samples=folder / "samples.npz",
        allow_code=True,
    )


def rmse(dataset: Dataset, noise: float) -> float:
    """By numpy alone, in the price's unit."""
    stored = numbers_example.rows(dataset)
    said = numbers_example.answers(dataset, dataset.prepare_inputs(stored), noise)["values"]
    return float(np.sqrt(np.mean((10 + 4 * said.astype(float) - stored["numbers"]) ** 2)))


@BOTH
def test_equal_models_of_numbers_pass(tmp_path: Path, dataset: Dataset) -> None:
    made = session.run_gates(ask_numbers(tmp_path, dataset))
    assert made.verdict == "pass" and {o.verdict for o in made.outcomes} == {"pass"}
    (found,) = [o for o in made.outcomes if o.gate == "score"]
    assert (found.got, found.unit, found.interval) == (0, "score", (0, 0))
    jsonschema.validate(made.model_dump(mode="json", by_alias=True), gate_result.schema())


@BOTH
def test_a_worse_model_of_numbers_fails_by_its_score_alone(
    tmp_path: Path, dataset: Dataset
) -> None:
    made = session.run_gates(ask_numbers(tmp_path, dataset, run=0.3))
    assert {o.gate for o in made.outcomes if o.verdict == "fail"} == {"score"}
    (found,) = [o for o in made.outcomes if o.gate == "score"]
    assert found.got == pytest.approx(rmse(dataset, 0.3) - rmse(dataset, 0), rel=1e-4)
    assert rmse(dataset, 0) == pytest.approx(numbers_example.OFF, rel=0.1)
    assert f"{rmse(dataset, 0.3):.4g} RMSE against {rmse(dataset, 0):.4g} RMSE on 400" in found.text


def test_a_better_model_of_numbers_passes(tmp_path: Path) -> None:
    made = session.run_gates(ask_numbers(tmp_path, numbers_example.ONE, baseline=0.3))
    (found,) = [o for o in made.outcomes if o.gate == "score"]
    assert made.verdict == "pass" and found.got is not None and found.got < 0


def test_the_authors_own_task_does_not_run_unasked(tmp_path: Path) -> None:
    asked = ask_numbers(tmp_path, numbers_example.TWO)._replace(allow_code=False)
    with pytest.raises(InputError, match="task python:tests"):
        session.run_gates(asked)


@pytest.mark.parametrize(("limit", "verdict"), [(0.6, "pass"), (0.3, "fail")])
def test_a_limit_of_an_error_is_the_most(tmp_path: Path, limit: float, verdict: str) -> None:
    text = f"limits: {{score: {limit}}}"
    made = session.run_gates(ask_numbers(tmp_path, numbers_example.ONE, text))
    (found,) = [o for o in made.outcomes if o.gate == "limits.score"]
    assert (found.verdict, found.unit) == (verdict, "score")
    assert found.text.endswith(f", want at most {limit} RMSE")


def test_models_of_other_tasks_are_not_compared(tmp_path: Path) -> None:
    asked = ask_numbers(tmp_path, numbers_example.ONE)
    other = numbers_example.make(tmp_path / "other", numbers_example.TWO)
    with pytest.raises(InputError, match="got the task regression of facts, want the baseline's"):
        session.run_gates(asked._replace(baseline=other))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"facts": None}, "got no `facts`, want facts, place, labels, numbers"),
        ({"numbers": None}, "got no `numbers`"),
        ({"place": np.zeros((400, 2), np.float32)}, "place: got float32 \\[400, 2\\]"),
        ({"place": np.zeros((399, 3), np.float32)}, "399 place"),
        ({"numbers": np.full((400, 1), np.nan, np.float32)}, "numbers: got nan in row 0"),
        ({"labels": np.full(400, 2)}, "labels: got label 2, want 0 to 1"),
    ],
)
def test_samples_of_other_fields_are_refused(
    tmp_path: Path, changes: dict[str, np.ndarray | None], says: str
) -> None:
    asked = ask_numbers(tmp_path, numbers_example.TWO)
    rows = {**numbers_example.rows(numbers_example.TWO), **changes}
    np.savez(tmp_path / "samples.npz", **{k: v for k, v in rows.items() if v is not None})
    with pytest.raises(InputError, match=says) as caught:
        session.run_gates(asked)
    assert "\n" not in caught.value.line()


def test_samples_may_be_a_split(tmp_path: Path) -> None:
    asked = ask_numbers(tmp_path, numbers_example.ONE, "score:\n")
    rows = numbers_example.rows(numbers_example.ONE)
    splits.write(tmp_path / "mine", rows, np.arange(150))
    made = session.run_gates(asked._replace(samples=tmp_path / "mine"))
    assert made.verdict == "pass"
    assert made.samples is not None and (made.samples.source, made.samples.count) == ("mine", 150)
