from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.bench import elimination
from edgekd.bench import engine_answers
from edgekd.bench import golden
from edgekd.bench import session
from edgekd.bench.budget import Budget
from edgekd.bench.candidate import Candidate
from edgekd.bench.machine import host
from edgekd.bench.machine import validity
from edgekd.bench.machine.monitor import Monitor
from edgekd.bench.machine.monitor import describe_fitness
from edgekd.bench.machine.validity import Validity
from edgekd.bench.timing import COLD
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import choose
from edgekd.stages import compile as compile_stage
from edgekd.stages import measure as stage
from edgekd.task import Scale
from tests import bench_example
from tests import data_example
from tests import text_example
from tests.bench.test_scores import texts

QUICK = stage.MeasureSettings(
    processes_max=6, min_time_s=0.02, max_time_s=0.03, max_warmup_s=0.05, half_width=1.0
)


def context(folder: Path) -> Context:
    folder.mkdir()
    return Context(folder=folder, checkpoints=folder, seed=0, progress=Silent())


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A student and a teacher that is the same net, compiled, with its images and golden samples."""
    root = tmp_path_factory.mktemp("given")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    scaled = ((images / 255 - 0.5) / 0.25).transpose(0, 3, 1, 2)
    labels = bench_example.answers(scaled).argmax(1)
    labels[:10] = (labels[:10] + 1) % 10  # so that accuracy is exactly 0.8
    x = bench_example.inputs(64)
    y = bench_example.answers(x).astype(np.float32)
    save_file({"inputs": x, "outputs": y}, root / "golden")
    save_file({"inputs": x, "outputs": y + np.float32(0.003)}, root / "off")
    (root / "parity").write_text(json.dumps({"tolerance": 1e-4}))
    (root / "parity-int8").write_text(json.dumps({"logit_step": 0.002}))
    found = {
        **data_example.write_data(
            root,
            data_example.image(8, 8, 3, std=0.25),
            data_example.names(10),
            validation=(images, labels),
        ),
        "student/golden": root / "golden",
        "teacher/golden": root / "off",
        "student-x86/golden": root / "off",
        "student/parity": root / "parity",
        "teacher/parity": root / "parity",
        "student-x86/parity": root / "parity-int8",
    }
    model = bench_example.write_onnx(root / "blob", output="logits")
    for name, precision in (
        ("student-onnxruntime-fp32", "fp32"),
        ("student-onnxruntime-fp16", "fp16"),
        ("teacher-onnxruntime-fp32", "fp32"),
    ):
        config = compile_stage.CompileConfig(runtime="onnxruntime", precision=precision)
        made = compile_stage.run(config, {"model": model}, context(root / name))
        found |= {f"{name}/{file}": path for file, path in made.items()}
    return found


def subject(model: str, precision: str, threads: tuple[int, ...]) -> Candidate:
    return Candidate(
        name=f"{model}-onnxruntime-{precision}",
        model=model,
        runtime="onnxruntime",
        precision=precision,
        threads=threads,
    )


def test_rows(given: dict[str, Path], tmp_path: Path) -> None:
    subjects = (
        subject("student", "fp32", (1,)),
        subject("student", "fp16", (1,)),
        subject("teacher", "fp32", (1,)),
    )
    config = stage.MeasureConfig(candidates=subjects, measure=QUICK)
    made = stage.run(config, given, context(tmp_path / "out"))
    rows = {row["name"]: row for row in json.loads(made["rows.json"].read_bytes())}
    assert list(rows) == [
        "onnxruntime-fp32-1t",
        "onnxruntime-fp16-1t",
        "teacher-onnxruntime-fp32-1t",
    ]
    first = rows["onnxruntime-fp32-1t"]
    assert first["status"] == "ok" and first["validation_score"] == 0.8
    assert first["parity_max_abs"] < 1e-5 and first["agreement"] == 1
    assert first["processes"] == 6 and first["iterations"] >= 180
    low, high = first["latency_ci95_ms"]
    assert 0 < low <= first["latency_p50_ms"] <= high
    assert first["peak_rss_bytes"] > 10_000_000
    assert first["cold_start_ms"]["tti_ms"] > first["cold_start_ms"]["load_ms"] > 0
    assert rows["onnxruntime-fp16-1t"]["status"] == "not offered"
    assert rows["onnxruntime-fp16-1t"]["latency_p50_ms"] is None
    # its golden answers are off by 0.003: never timed, never chosen
    teacher = rows["teacher-onnxruntime-fp32-1t"]
    assert (teacher["status"], teacher["reason"]) == ("failed", "parity 3.0e-03 > 1.0e-04")
    assert teacher["latency_p50_ms"] is None and teacher["processes"] == 0
    raw = json.loads(gzip.decompress(made["raw.json.gz"].read_bytes()))
    assert set(raw["subjects"]) == {"onnxruntime-fp32-1t"}
    iterations = [len(p["iters_ns"]) for p in raw["subjects"]["onnxruntime-fp32-1t"]["processes"]]
    assert sum(iterations) == first["iterations"]
    assert not any(
        "torch" in p["modules"] for s in raw["subjects"].values() for p in s["processes"]
    )


def test_a_row_for_each_thread_count() -> None:
    engines = subject("teacher", "fp32", (1, 2)).engines({"files": []}, {})
    assert {name: engine.threads for name, engine in engines.items()} == {
        "teacher-onnxruntime-fp32-1t": 1,
        "teacher-onnxruntime-fp32-2t": 2,
    }


def test_the_machine_is_watched_as_bench_does(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A canary before the first latency process, before every sixth, and at the end."""
    jobs: list[str] = []
    faults = [0]

    def worker(job: str, spec: Any, **more: Any) -> dict[str, Any]:
        jobs.append(job)
        if job == "canary":
            return {"canary_ns": 100.0 + 20 * len(jobs), "snapshot": validity.take_snapshot()}
        if job == "memory":
            return {"peak_rss_bytes": 1}
        cold = dict.fromkeys(COLD, 1.0)
        return {"iters_ns": [1000], "steady": True, "cold_ms": cold, "majflt": faults[0]}

    monkeypatch.setattr(stage, "run_worker", worker)
    config = stage.MeasureConfig(candidates=(subject("student", "fp32", (1,)),), measure=QUICK)
    made = stage.run(config, given, context(tmp_path / "out"))
    assert jobs == ["memory", "canary", *["latency"] * 6, "canary"]
    machine = json.loads(made["site.json"].read_bytes())["machine"]
    assert len(machine["canary_ms"]) == 2 and machine["reasons"] == []
    faults[0] = 1
    made = stage.run(config, given, context(tmp_path / "faults"))
    (row,) = json.loads(made["rows.json"].read_bytes())
    assert (row["status"], row["reason"]) == ("invalid", "paged: 6 page faults read the disk")
    machine = json.loads(made["site.json"].read_bytes())["machine"]
    assert machine["reasons"] == ["paged: 6 page faults read the disk"]


def test_warnings_that_differ_in_a_number_alone_are_told_once() -> None:
    each = [
        Validity(True, (), ("noisy: processes lost their core 415 times a second",)),
        Validity(False, ("swapped: 3 pages",), ("noisy: the load was 7.4 on 2 cores",)),
        Validity(True, (), ("noisy: processes lost their core 492.5 times a second",)),
    ]
    machine = describe_fitness(Monitor(lambda *rest, **more: {}), each)
    assert machine["warnings"] == [
        "noisy: processes lost their core 492.5 times a second",
        "noisy: the load was 7.4 on 2 cores",
    ]
    assert machine["reasons"] == ["swapped: 3 pages"] and machine["canary_variation"] is None


def test_rows_that_cannot_win_are_measured_less(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads are twice as slow here: six processes show it, and only the other one goes on."""
    ran: list[int] = []

    def worker(job: str, spec: Any, **more: Any) -> dict[str, Any]:
        if job != "latency":
            return {"peak_rss_bytes": 1}
        ran.append(spec["threads"])
        wide = 1000 + 100 * (ran.count(spec["threads"]) % 2)
        cold = dict.fromkeys(COLD, 1.0)
        return {"iters_ns": [spec["threads"] * wide], "steady": True, "cold_ms": cold}

    monkeypatch.setattr(stage, "run_worker", worker)
    config = stage.MeasureConfig(
        candidates=(subject("student", "fp32", (1, 2)),),
        measure=stage.MeasureSettings(processes_max=9, half_width=0.001),
    )
    stage.run(config, given, context(tmp_path / "out"))
    assert (ran.count(1), ran.count(2)) == (9, 6)


def test_an_emulated_device_has_answers_and_no_times(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = host.describe_host()
    there = here._replace(name="board", facts={**here.facts, "emulated": "qemu-user"})
    monkeypatch.setattr(host, "describe_host", lambda device: there)
    config = stage.MeasureConfig(candidates=(subject("student", "fp32", (1,)),), measure=QUICK)
    made = stage.run(config, given, context(tmp_path / "out"))
    (row,) = json.loads(made["rows.json"].read_bytes())
    assert (row["status"], row["reason"]) == ("not measured", "emulated (qemu-user)")
    assert row["validation_score"] == 0.8 and row["parity_max_abs"] < 1e-5
    assert row["latency_p50_ms"] is None and row["processes"] == 0
    assert json.loads(made["site.json"].read_bytes())["name"] == "board"


def test_settings_keep_their_order() -> None:
    with pytest.raises(ValidationError, match="maximum below its minimum"):
        stage.MeasureSettings(processes_min=8, processes_max=7)
    with pytest.raises(ValidationError):
        stage.MeasureSettings(processes_min=5)
    rules = stage.MeasureSettings(min_time_s=0.2, max_warmup_s=1.0).rules()
    assert rules.steady.min_ns == 200_000_000 and rules.warm_up.max_ns == 1_000_000_000


def test_int8_is_held_against_the_answers_of_its_own_export(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its golden answers are 0.003 off, 1.5 steps of 0.002: of a float model that would be a fault."""
    monkeypatch.setattr(stage.session, "measure_subjects", lambda subjects, *rest, **more: [])
    one = subject("student", "fp32", (1,)).model_copy(
        update={"precision": "int8", "profile": "x86", "name": "student-onnxruntime-fp32"}
    )
    made = stage.run(
        stage.MeasureConfig(candidates=(one,), measure=QUICK), given, context(tmp_path / "o")
    )
    (row,) = json.loads(made["rows.json"].read_bytes())
    assert row["name"] == "onnxruntime-int8-1t" and row["profile"] == "x86"
    assert row["status"] == "ok" and row["validation_score"] == 0.8
    assert row["parity_steps"] == pytest.approx(1.5, rel=0.01) and row["islands"] == []


@pytest.mark.parametrize(
    ("agreement_min", "changed", "says"),
    [
        (None, 20, ""),  # 44 of 64 are 68.75 %, below what classification asks for; see below
        (None, 19, "ok"),
        (0.98, 2, ""),
        (0.98, 1, "ok"),
        (0.0, 64, "ok"),
    ],
)
def test_what_decides_otherwise_than_the_float_student_is_refused_before_it_is_timed(
    given: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    agreement_min: float | None,
    changed: int,
    says: str,
) -> None:
    """The same engine answers as its own export wants; the student in float32 names another class of some samples."""
    x, y = (golden.read(given["student/golden"])["usual"][i][""] for i in (0, 1))
    other = y.copy()
    other[:changed] = -other[:changed]
    assert (other.argmax(1) != y.argmax(1)).sum() == changed
    save_file({"inputs": x, "outputs": other}, tmp_path / "float")
    timed: list[str] = []
    monkeypatch.setattr(
        stage.session,
        "measure_subjects",
        lambda subjects, *rest, **more: timed.extend(each.name for each in subjects) or [],
    )
    candidates = (
        subject("student", "fp32", (1, 2)).model_copy(
            update={"precision": "int8", "profile": "x86", "name": "student-onnxruntime-fp32"}
        ),
        subject("teacher", "fp32", (1,)),
    )
    settings = QUICK.model_copy(update={"agreement_min": agreement_min})
    made = stage.run(
        stage.MeasureConfig(candidates=candidates, measure=settings, tolerance=1.0),
        {**given, "student/golden": tmp_path / "float"},
        context(tmp_path / "o"),
    )
    *rows, teacher = json.loads(made["rows.json"].read_bytes())
    least = 0.7 if agreement_min is None else agreement_min
    reason = (
        f"agrees with the student in float32 on {100 - 100 * changed / 64:.2f} %, want at least "
        f"{100 * least:g} % (measure.agreement_min)"
    )
    for row in rows:
        assert row["float_agreement"] == 1 - changed / 64 and row["agreement"] == 1
        assert (row["status"], row["reason"]) == (("ok", "") if says else ("refused", reason))
        assert row["latency_p50_ms"] is None and row["validation_score"] == 0.8
    assert len(timed) == (3 if says else 1) and "float_agreement" not in teacher
    if not says:
        found = choose.choose_row([*rows, teacher], Budget(), 0.8)
        assert found["chosen"] is None and f"onnxruntime-int8-2t: refused: {reason}" in found["why"]


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        ({"y": np.zeros(64)}, "got output (64,), want (64, 10)"),
        ({"y": np.zeros((64, 9))}, "got output (64, 9), want (64, 10)"),
        ({"y": np.full((64, 10), np.nan)}, "got answers that are not finite"),
    ],
)
def test_golden_answers_of_another_shape_are_a_failed_row(
    given: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    odd: dict[str, np.ndarray],
    says: str,
) -> None:
    monkeypatch.setattr(engine_answers, "compute_outputs", lambda *_, **__: odd)
    config = stage.MeasureConfig(candidates=(subject("student", "fp32", (1,)),), measure=QUICK)
    made = stage.run(config, given, context(tmp_path / "out"))
    (row,) = json.loads(made["rows.json"].read_bytes())
    assert (row["status"], row["reason"]) == ("failed", says) and row["processes"] == 0


def test_a_model_of_other_classes_than_the_data_is_a_failed_row(
    given: dict[str, Path], tmp_path: Path
) -> None:
    data = data_example.write_data(
        tmp_path / "data",
        data_example.image(8, 8, 3, std=0.25),
        data_example.names(9),
        validation=(np.zeros((4, 8, 8, 3), np.uint8), np.arange(4)),
    )
    config = stage.MeasureConfig(candidates=(subject("student", "fp32", (1,)),), measure=QUICK)
    made = stage.run(config, {**given, **data}, context(tmp_path / "out"))
    (row,) = json.loads(made["rows.json"].read_bytes())
    assert (row["status"], row["reason"]) == (
        "failed",
        "onnxruntime: logits: got [4, 10], want ['batch', 9]",
    )


@pytest.mark.parametrize(
    ("runtime", "sizes"), [("onnxruntime", {"text_length": (9, 5)}), ("openvino", {})]
)
def test_a_model_of_texts_is_scored_at_all_lengths_and_timed_at_the_usual_and_those_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, sizes: dict[str, tuple[int, ...]]
) -> None:
    """Two inputs, two outputs, free axes: what is timed is fed five tokens; nine where they are asked for."""
    split, data = texts(tmp_path, 30)
    (tmp_path / "data.json").write_bytes(files.pretty_json(dataset.to_json(data)))
    groups = {}
    for name, tokens in (("least", 1), ("usual", 5), ("longest", 9)):
        inputs = text_example.inputs(6, tokens)
        answers = {end: a.astype(np.float32) for end, a in text_example.answers(inputs).items()}
        groups[name] = golden.GoldenGroup(inputs, answers)
    golden.write(tmp_path / "golden", groups)
    (tmp_path / "parity").write_text(json.dumps({"tolerance": 1e-4}))
    subject = f"student-{runtime}-fp32"
    compiled = compile_stage.run(
        compile_stage.CompileConfig(runtime=runtime, precision="fp32"),
        {"model": text_example.write_onnx(tmp_path / "m")},
        context(tmp_path / "engine"),
    )
    given = {
        "data": tmp_path / "data.json",
        "validation": split,
        "student/golden": tmp_path / "golden",
        "student/parity": tmp_path / "parity",
        **{f"{subject}/{file}": path for file, path in compiled.items()},
    }
    calls: list[dict[str, Any]] = []
    spec_of = session.worker_spec
    monkeypatch.setattr(
        session,
        "worker_spec",
        lambda *given: calls.append(spec_of(*given)[0]["call"]) or spec_of(*given),
    )
    candidate = Candidate(
        name=subject, model="student", runtime=runtime, precision="fp32", threads=(1,)
    )
    measure = QUICK.model_copy(update={"sizes": sizes})
    config = stage.MeasureConfig(candidates=(candidate,), measure=measure)
    made = stage.run(config, given, context(tmp_path / "out"))
    row, *others = json.loads(made["rows.json"].read_bytes())
    assert row["status"] == "ok" and row["processes"] == 6 and row["latency_p50_ms"] > 0
    assert row["sizes"] == {"text_length": 5} and "usual_row" not in row
    assert all(call["text"][0] == call["text_mask"][0] for call in calls)
    assert {call["text"][0] for call in calls} == {(None, 5), *((None, 9) for _ in others)}
    assert len(others) == len(sizes)
    for other in others:
        assert other["name"] == f"{row['name']} text_length=9" and other["usual_row"] == row["name"]
        assert other["sizes"] == {"text_length": 9} and other["processes"] == 6
        assert other["latency_p50_ms"] not in (None, row["latency_p50_ms"])
        assert other["validation_score"] == row["validation_score"]
    assert set(row["parity_outputs"]) == {"logits", "states"}
    assert row["parity_max_abs"] == max(each["max_abs"] for each in row["parity_outputs"].values())
    rows = splits.read(split)
    right = text_example.answers(data.prepare_inputs(rows))["logits"].argmax(1) == rows["labels"]
    assert row["validation_score"] == right.mean()


def test_the_better_of_two_has_the_higher_entry_whichever_way_its_score_goes() -> None:
    base = {
        "model": "student",
        "status": "ok",
        "reason": "",
        "runtime": "x",
        "threads": 1,
        "precision": "int8",
    }
    rows = [{**base, "name": name, "validation_score": v} for name, v in (("a", 1.0), ("b", 2.0))]
    for better, best in (("higher", "b"), ("lower", "a")):
        found = elimination.list_candidates(rows, Scale("RMSE", "number", better))
        assert max(found, key=lambda name: found[name].score) == best
