from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.bench import scores
from edgekd.bench.candidate import Candidate
from edgekd.bench.engine import Engine
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.progress import Silent
from edgekd.sampling_error import drop_interval
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stages import compile as compile_stage
from edgekd.stages import evaluate
from edgekd.task import metric_rows
from edgekd.tasks import load_task
from tests import bundle_example
from tests import data_example
from tests import text_example
from tests.bench.test_scores import texts
from tests.learn.blueprint_example import image_blueprint
from tests.task_models_example import TARGETS
from tests.task_models_example import write_inputs

PLAN = {"builder": "resnet8", "arguments": {}, "classes": 3, "channels": 1}


class Heard(Silent):
    """Keeps what was noted, and how far it is said to be."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.parts: list[tuple[int, int, str]] = []

    def update(self, done: int, total: int, text: str) -> None:
        self.parts.append((done, total, text))

    def note(self, text: str) -> None:
        self.notes.append(text)


def subject(name: str, model: str = "student", threads: tuple[int, ...] = (1,)) -> Candidate:
    runtime, precision = name.removeprefix(f"{model}-").split("-")
    return Candidate(name=name, model=model, runtime=runtime, precision=precision, threads=threads)


def given_files(folder: Path) -> dict[str, Path]:
    """40 images, labelled by a linear classifier that is also the student's engine."""
    weights = bundle_example.model(folder / "model.onnx")
    images = np.random.default_rng(2).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
    inputs = bundle_example.IMAGE.apply(images)
    labels = (inputs.reshape(40, 16) @ weights).argmax(1)
    labels[:10] = (labels[:10] + 1) % 3  # the engine is right 30 times of 40
    values: dict[str, Any] = {
        "choice": {"chosen": None},
        "rows": [
            bundle_example.row("onnxruntime-fp32-1t"),
            bundle_example.row("onnxruntime-fp32-2t", threads=2, status="unstable"),
            bundle_example.row("teacher-onnxruntime-fp32-1t"),
            bundle_example.row("openvino-bf16-1t", status="not measured", reason="not here"),
            bundle_example.row("openvino-fp32-1t", status="failed", reason="parity"),
        ],
    }
    field = bundle_example.IMAGE
    given = data_example.write_data(folder, field, bundle_example.LABELS, test=(images, labels))
    engines = {
        "student-onnxruntime-fp32": ["model.onnx"],
        "teacher-onnxruntime-fp32": ["model.onnx"],
        "student-openvino-bf16": [],
        "student-openvino-fp32": ["model.onnx"],
    }
    for name, names in engines.items():
        values[f"{name}/engine.json"] = {"files": names, "status": "ok"}
        given |= {f"{name}/{file}": folder / file for file in names}
    for name, value in values.items():
        given[name] = folder / (name.replace("/", "-") + ".json")
        given[name].write_text(json.dumps(value))
    return given


def run(folder: Path, given: Given, progress: Silent) -> dict[str, Any]:
    subjects = (
        subject("student-onnxruntime-fp32", threads=(1, 2)),
        subject("teacher-onnxruntime-fp32", "teacher"),
        subject("student-openvino-bf16"),
        subject("student-openvino-fp32"),
    )
    (folder / "out").mkdir()
    context = Context(folder=folder / "out", checkpoints=folder / "kept", seed=0, progress=progress)
    made = evaluate.run(evaluate.EvaluateConfig(candidates=subjects), given, context)
    return json.loads(made["test.json"].read_bytes())


def test_every_measured_row_gets_its_engines_accuracy(tmp_path: Path) -> None:
    found = run(tmp_path, given_files(tmp_path), Silent())
    assert found["candidates"] == {
        "onnxruntime-fp32-1t": 0.75,
        "onnxruntime-fp32-2t": 0.75,
        "teacher-onnxruntime-fp32-1t": 0.75,
    }
    assert found["candidate_metrics"].keys() == found["candidates"].keys()
    assert all(each["accuracy"] == 0.75 for each in found["candidate_metrics"].values())


@pytest.mark.parametrize(
    "error",
    [
        MachineError("onnxruntime: the worker was killed by SIGSEGV"),
        InputError("onnxruntime: logits: got [4, 2], want ['batch', 3]"),
    ],
    ids=str,
)
def test_a_dead_or_odd_engine_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(engine: Engine, *_: Any, **__: Any) -> dict[str, np.ndarray]:
        raise error

    monkeypatch.setattr(scores, "score_engine", fail)
    heard = Heard()
    assert run(tmp_path, given_files(tmp_path), heard)["candidates"] == {}
    assert heard.notes[0] == f"onnxruntime-fp32-1t: its test score is not measured: {error}"


def test_the_trained_models_are_asked_in_torch(tmp_path: Path) -> None:
    import torch

    from edgekd.learn import blueprint

    given = given_files(tmp_path)
    rows = {name: np.asarray(each) for name, each in splits.read(given["test"]).items()}
    labels = rows["labels"]
    images = torch.from_numpy(bundle_example.IMAGE.apply(rows["images"]))
    want, right = {}, {}
    for seed, role in enumerate(("teacher", "control", "student", "quantize-asymmetric")):
        torch.manual_seed(seed)
        plan = image_blueprint(**PLAN, height=4, width=4)
        model = blueprint.build(plan)
        (tmp_path / role).mkdir()
        saved = blueprint.save(model, plan, tmp_path / role)
        given[f"{role}_blueprint"] = saved["blueprint.json"]
        given[f"{role}_weights"] = saved["weights.safetensors"]
        with torch.no_grad():
            right[role] = model.eval()(images).argmax(1).numpy() == labels
            want[role] = float(right[role].mean())
    heard = Heard()
    found = run(tmp_path, given, heard)
    assert [done for done, _, _ in heard.parts] == list(range(heard.parts[0][1]))
    assert [text for _, _, text in heard.parts][:4] == [f"{role} in torch" for role in want]
    student, control = right["student"], right["control"]
    assert found["student_alone"] == sum(a and not b for a, b in zip(student, control, strict=True))
    assert found["control_alone"] == sum(b and not a for a, b in zip(student, control, strict=True))
    assert {role: found[role] for role in want} == pytest.approx(want)
    assert found["right_or_wrong"] and found["score_drop_ci95"] == {}
    assert {role: found["metrics"][role]["accuracy"] for role in want} == pytest.approx(want)


def test_engines_chosen_by_size_are_scored_together(tmp_path: Path) -> None:
    """Half of the texts are short: each engine answers its own, one of them with the signs of the logits turned."""
    split, data = texts(tmp_path, 40)
    labels = text_example.answers(data.prepare_inputs(splits.read(split)))["logits"].argmax(1)
    held = splits.read(split)
    splits.write(tmp_path / "labelled", {**held, "labels": labels}, np.arange(40))
    (tmp_path / "data.json").write_bytes(files.pretty_json(dataset.to_json(data)))
    given = {"data": tmp_path / "data.json", "test": tmp_path / "labelled"}
    rows, buckets = [], []
    for runtime, scale, most in (("onnxruntime", 1.0, 4), ("openvino", -1.0, None)):
        name = f"student-{runtime}-fp32"
        config = compile_stage.CompileConfig(runtime=runtime, precision="fp32")
        model = text_example.write_onnx(tmp_path / f"{runtime}.onnx", scale=scale)
        (tmp_path / name).mkdir()
        context = Context(folder=tmp_path / name, checkpoints=tmp_path, seed=0, progress=Silent())
        made = compile_stage.run(config, {"model": model}, context)
        given |= {f"{name}/{file}": path for file, path in made.items()}
        rows.append(bundle_example.row(f"{runtime}-fp32-1t"))
        buckets.append({"most": most, "row": f"{runtime}-fp32-1t"})
    choice = {"by_size": {"axis": "text_length", "buckets": buckets}}
    for name, value in (("rows", rows), ("choice", choice)):
        given[name] = tmp_path / f"{name}.json"
        given[name].write_text(json.dumps(value))
    (tmp_path / "out").mkdir()
    context = Context(folder=tmp_path / "out", checkpoints=tmp_path, seed=0, progress=Silent())
    candidates = (subject("student-onnxruntime-fp32"), subject("student-openvino-fp32"))
    made = evaluate.run(evaluate.EvaluateConfig(candidates=candidates), given, context)
    found = json.loads(made["test.json"].read_bytes())
    short = float((held["text"].lengths <= 4).mean())
    assert 0 < short < 1 and found["by_size"]["accuracy"] == pytest.approx(short)
    assert found["candidates"] == {"onnxruntime-fp32-1t": 1.0, "openvino-fp32-1t": 0.0}


@pytest.mark.parametrize("name", TARGETS)
def test_where_samples_are_not_right_or_wrong_intervals_are_told(tmp_path: Path, name: str) -> None:
    given, data, outputs = write_inputs(tmp_path, name)
    given["rows"] = tmp_path / "rows.json"
    given["rows"].write_text("[]")
    given["choice"] = tmp_path / "choice.json"
    given["choice"].write_text('{"chosen": null}')
    (tmp_path / "out").mkdir()
    context = Context(folder=tmp_path / "out", checkpoints=tmp_path, seed=0, progress=Silent())
    made = evaluate.run(evaluate.EvaluateConfig(candidates=()), given, context)
    found = json.loads(made["test.json"].read_bytes())
    task = load_task(name)
    targets = data.prepare_targets(splits.read(given["test"]))
    of_score = {
        role: metric_rows(task.metrics, outputs[role], targets, data)[task.score.name]
        for role in ("student", "control")
    }
    want = drop_interval(task.score, of_score["student"], of_score["control"])
    assert found["student_below_control_ci95"] == pytest.approx(want, rel=1e-3, abs=1e-3)
    assert found["student"] == pytest.approx(task.score.value(of_score["student"]), rel=1e-5)
    assert not found["right_or_wrong"] and "student_alone" not in found
    assert found["metrics"]["teacher"].keys() == {metric.name for metric in task.metrics}
