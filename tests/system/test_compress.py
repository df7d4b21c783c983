"""The main job as a user meets it: a whole run, a second one, interruptions, wrong input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from edgekd import run_folder
from edgekd.bench.status import TIMED
from edgekd.store import Store
from tests.system.conftest import RECIPE
from tests.system.conftest import Place
from tests.system.conftest import Ran
from tests.system.conftest import edgekd


def result_of(place: Place) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((place.run_dir / "result.json").read_bytes())
    return value


def artifact(place: Place, label: str, file: str) -> Path:
    """A step's file, found through the lineage."""
    digest = result_of(place)["lineage"][label]["files"][file]
    return Store(place.store).blob_path(digest)


def digests(place: Place, *labels: str) -> dict[str, Any]:
    lineage = result_of(place)["lineage"]
    return {label: lineage[label]["files"] for label in labels}


FITNET = 'learn.0={"step": "distil", "losses": ["cross-entropy", "fitnet"]}'
ONE_ENGINE = ("--set", 'targets=[{"runtime": "onnxruntime", "precision": ["fp32"]}]')
"""For runs that are not looked at for what was measured: most of their time goes into that."""
OTHER = ("--replace", "--set", "student.train.epochs=3", "--set", "name=other")
LASTING = ("data", "teacher", "control", "knowledge", "distil", "export-student", "export-teacher")


def test_the_result_says_what_was_made(finished: Place) -> None:
    result = result_of(finished)
    for role in ("teacher", "control", "student"):
        assert 0.1 < result[role]["score"] <= 1
        assert result[role]["parameters"] > 1000
        assert result[role]["macs"] > 1000
    names = {"name", "runtime", "precision", "threads", "score", "latency_p50_ms", "status"}
    names |= {"peak_rss_bytes", "size_bytes", "parity_max_abs", "agreement"}
    assert all(names <= set(row) for row in result["candidates"])
    measured = [row for row in result["candidates"] if row["status"] in TIMED]
    assert {row["runtime"] for row in measured} == {"onnxruntime", "openvino"}
    for row in measured:
        if row["precision"] == "fp32":
            assert row["parity_max_abs"] <= 1e-4
            assert row["agreement"] == 1
            assert row["score"] == pytest.approx(result["student"]["score"])
    assert result["chosen"] in {row["name"] for row in measured}
    for name in ("report.md", "score_latency.svg", "score_latency.png"):
        assert (finished.run_dir / name).stat().st_size > 1000


def test_the_bundle_verifies_and_holds_the_student_alone(finished: Place) -> None:
    bundle = finished.run_dir / "bundle"
    assert edgekd("verify", str(bundle)).code == 0
    student = safetensors.numpy.load_file(artifact(finished, "distil", "weights.safetensors"))
    weights = sum(a.nbytes for a in student.values() if a.dtype == np.float32)
    assert (bundle / "model.onnx").stat().st_size < weights + 40_000


def test_again_is_quick_and_imports_no_torch(finished: Place) -> None:
    lock = finished.run_dir / run_folder.LOCK
    before = {p: p.stat().st_mtime_ns for p in finished.run_dir.rglob("*") if p != lock}
    code = (
        "import sys\nfrom edgekd.cli import run\ntry:\n run(sys.argv[1:])\n"
        "finally:\n print([m for m in ('torch','onnxruntime','openvino','lightning_fabric','sklearn')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *finished.arguments()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
    assert "0 of" not in done.stderr
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert {*before, lock} == set(finished.run_dir.rglob("*"))


def test_the_teacher_is_not_touched_by_teaching(finished: Place, tmp_path: Path) -> None:
    """Online distillation loads the teacher: its blob is verified whenever it is read."""
    place = finished.copy_to(tmp_path / "copy")
    assert (
        place.compress(
            "--replace", "--set", "learn.0.knowledge=online", "--set", "name=online"
        ).code
        == 0
    )
    assert digests(place, "teacher") == digests(finished, "teacher")
    assert Store(place.store).verify() == []


def test_interrupted_it_goes_on_to_the_same_bytes(finished: Place, tmp_path: Path) -> None:
    """Once while the teacher learns, by Ctrl-C, and once at the control, as a system that shuts down does.

    How many workers load the data and when a checkpoint is written changes neither bytes nor keys.
    """
    place = Place(tmp_path)
    # a step may end before its first line: its beginning is the end of the one before
    for number, before in ((signal.SIGINT, "tune-student"), (signal.SIGTERM, "teacher")):
        child = subprocess.Popen(
            [sys.executable, "-m", "edgekd", "-v", *place.arguments(*ONE_ENGINE)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
            # a shell's background job has its children ignore SIGINT
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith(f"{before}: ended"):
                break
        child.send_signal(number)
        rest = child.stderr.read()
        assert child.wait(20) == 128 + number
        assert "Traceback" not in rest
        assert "run the same command again" in rest
        child.stderr.close()
    assert place.compress("--set", "teacher.train.workers=2", *ONE_ENGINE).code == 0
    assert digests(place, *LASTING) == digests(finished, *LASTING)
    otherwise = ("student.train.workers=1", "student.train.checkpoint_every_s=9")
    ran = place.compress(*ONE_ENGINE, *(word for each in otherwise for word in ("--set", each)))
    assert "17 of 18 steps found" in ran.stderr  # the report tells what the command line changed
    assert result_of(place)["overrides"][-1] == otherwise[-1]
    assert result_of(place)["resolved_recipe"]["seed"] == 0


def refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.line.startswith("error: ")
    for word in words:
        assert word in ran.line


def test_a_budget_nobody_meets_is_exit_1_with_a_report(finished: Place, tmp_path: Path) -> None:
    place = finished.copy_to(tmp_path / "copy")
    shutil.rmtree(place.run_dir)
    ran = place.compress("--set", "budget.size_bytes=10")
    refused(ran, 1, "size_bytes", "want at most 10")
    assert result_of(place)["chosen"] is None
    assert not (place.run_dir / "bundle").exists()
    assert (place.run_dir / "report.md").is_file()


def test_a_what_if_leaves_the_run_that_stands(finished: Place, tmp_path: Path) -> None:
    place = finished.copy_to(tmp_path / "copy")
    before = {p: p.read_bytes() for p in place.run_dir.rglob("*") if p.is_file()}
    other = ("--set", "budget.speedup=5000")
    refused(place.compress(*other), 2, "another budget.speedup", "--run-dir", "--replace")
    assert {p: p.read_bytes() for p in place.run_dir.rglob("*") if p.is_file()} == {
        p: p.read_bytes() if p.name == run_folder.LOCK else data for p, data in before.items()
    }
    refused(place.compress(*other, "--replace"), 1, "speedup", "nothing-chosen/report.md")
    changed = [p.name for p, data in before.items() if p.read_bytes() != data]
    assert set(changed) <= {run_folder.MARKER, run_folder.LOCK}
    told = json.loads((place.run_dir / "nothing-chosen" / "result.json").read_bytes())
    assert told["overrides"][-1] == "budget.speedup=5000" and told["chosen"] is None
    assert told["date"] == max(one["made_at"] for one in told["lineage"].values())


def test_the_recipe_in_the_folder_runs_again(finished: Place) -> None:
    """Same keys, same bytes: the report alone is made anew, which says what the command line changed."""
    before = result_of(finished)["lineage"]
    own = finished.run_dir / "recipe.yaml"
    text = own.read_bytes()
    arguments = ["compress", str(own), "--store", str(finished.store)]
    ran = edgekd(*arguments, "--run-dir", str(finished.run_dir), folder=finished.folder)
    assert ran.code == 0 and result_of(finished)["lineage"] == before, ran.stderr
    assert own.read_bytes() == text
    student = finished.run_dir / "student.safetensors"
    assert student.read_bytes() == artifact(finished, "distil", "weights.safetensors").read_bytes()
    assert finished.compress().code == 0  # as it was


def test_verbs_take_the_run(finished: Place, tmp_path: Path) -> None:
    """verify and predict ask its bundle; export writes what lies in the folder, or an engine that runs."""
    run = str(finished.run_dir)
    assert edgekd("verify", run).code == 0
    pixels = np.zeros((8, 8, 1), np.uint8)
    np.save(tmp_path / "digit.npy", pixels)
    asked = edgekd("predict", run, str(tmp_path / "digit.npy"), "--json")
    assert len(json.loads(asked.stdout)[0]["answers"]) == 3
    for form, names in {
        "torch": ["digits.json", "digits.safetensors"],
        "onnx": ["digits.onnx"],
        "openvino": ["digits-openvino/model.bin", "digits-openvino/model.xml"],
    }.items():
        name = result_of(finished)["recipe"]
        folder = tmp_path / form
        folder.mkdir()
        assert edgekd("export", run, "--to", form, folder=folder).code == 0
        made = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        assert made == [each.replace("digits", name) for each in names]
    onnx = next((tmp_path / "onnx").iterdir())
    assert onnx.read_bytes() == (finished.run_dir / "bundle" / "model.onnx").read_bytes()
    refused(edgekd("export", run, "--to", "openvino", "-o", str(tmp_path)), 2, "exists already")
    refused(edgekd("export", run, "--to", "onxx"), 2, "onnxruntime")
    refused(
        edgekd("export", run, "--to", "onnx", "--candidate", "openvino-fp32"), 2, "did you mean"
    )
    refused(edgekd("export", str(tmp_path), "--to", "onnx"), 2, "finished run")
    place = finished.copy_to(tmp_path / "copy")
    (place.run_dir / "models" / "student.onnx").write_bytes(b"changed")
    refused(edgekd("export", str(place.run_dir), "--to", "onnx", folder=tmp_path), 2, "has changed")
    listed = json.loads(edgekd("runs", str(finished.folder), "--json").stdout)
    assert [each["folder"] for each in listed] == [run]


def test_what_a_user_wrote_into_the_run_folder_stays(finished: Place, tmp_path: Path) -> None:
    place = finished.copy_to(tmp_path / "copy")
    (place.run_dir / "report.md").write_text("my own notes")
    refused(place.compress("--set", "name=other", "--replace"), 2, "report.md", "--run-dir")
    assert (place.run_dir / "report.md").read_text() == "my own notes"


def test_what_is_wrong_is_said_in_one_line_and_nothing_is_lost(
    finished: Place, tmp_path: Path
) -> None:
    place = finished.copy_to(tmp_path / "copy")
    data = artifact(finished, "data", "train")
    cases = {
        ("--set", "student.train.epohcs=3"): (2, "did you mean 'epochs'"),
        ("--set", "teacher.train.batch_size=100000"): (2, "batch_size", "training samples"),
        ("--set", "data.source=npz:missing.npz"): (2, "missing.npz"),
        ("--set", "student.model=python:os:getcwd"): (2, "--allow-code"),
        ("--set", "teacher.weights=nowhere.safetensors"): (2, "nowhere.safetensors"),
        ("--set", "data.limit=5"): (2, "digits"),
    }
    for more, (code, *words) in cases.items():
        refused(place.compress("--replace", *more), code, *words)
    (tmp_path / "file").write_text("")
    arguments = ["compress", str(RECIPE), "--store", str(tmp_path / "file" / "store")]
    refused(edgekd(*arguments, folder=tmp_path), 3, "file")
    refused(edgekd("compress", "missing.yaml", folder=tmp_path), 2, "missing.yaml")
    assert data.exists()
    assert place.compress().code == 0


def teacher_recipe(folder: Path, weights: dict[str, np.ndarray]) -> Path:
    """The quickstart with a teacher from a file."""
    safetensors.numpy.save_file(weights, folder / "teacher.safetensors")
    recipe = folder / "recipe.yaml"
    text = RECIPE.read_text().replace("teacher:\n", "teacher:\n  weights: teacher.safetensors\n")
    recipe.write_text(text)
    return recipe


def test_a_loaded_teacher_is_checked_before_it_teaches(finished: Place, tmp_path: Path) -> None:
    place = finished.copy_to(tmp_path / "copy")
    good = safetensors.numpy.load_file(artifact(finished, "teacher", "weights.safetensors"))
    last = max(name for name in good if good[name].shape == (10,) and "bias" in name)
    matrix = last.replace("bias", "weight")
    turn = np.roll(np.arange(10), 3)
    as_it_is = ("--replace", "--set", "teacher.train=null")  # with train it is trained further

    ran = place.compress(*ONE_ENGINE, *as_it_is, recipe=teacher_recipe(tmp_path, good))
    assert ran.code == 0, ran.stderr

    renamed = {**good, matrix: good[matrix][turn], last: good[last][turn]}
    ran = place.compress(*as_it_is, recipe=teacher_recipe(tmp_path, renamed))
    refused(ran, 2, "worse than chance", "classes are in another order")

    random = np.random.default_rng(0)
    noise = {
        k: random.normal(size=v.shape).astype(v.dtype) * 0.05 if v.ndim > 1 else v
        for k, v in good.items()
    }
    ran = place.compress(*as_it_is, recipe=teacher_recipe(tmp_path, noise))
    refused(ran, 2, "near chance", "likely:")

    more = {**good, matrix: np.tile(good[matrix], (10, 1)), last: np.tile(good[last], 10)}
    ran = place.compress(*as_it_is, recipe=teacher_recipe(tmp_path, more))
    refused(ran, 2, "100 classes", "10")


def test_an_engine_that_is_not_installed_is_named_at_once(
    finished: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "sitecustomize.py"
    hidden.write_text(
        "import importlib.metadata as m\n_v = m.version\n"
        "def version(name):\n"
        "    if name == 'openvino': raise m.PackageNotFoundError(name)\n"
        "    return _v(name)\n"
        "m.version = version\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ran = finished.copy_to(tmp_path / "copy").compress(process=True)
    refused(ran, 3, "openvino", "pip install 'edgekd[openvino]'")


def test_a_student_near_chance_is_warned_of(finished: Place, tmp_path: Path) -> None:
    place = finished.copy_to(tmp_path / "copy")
    ran = place.compress(*ONE_ENGINE, "--replace", "--set", "student.train.learning_rate=1e-9")
    assert ran.code in (0, 1, 5), ran.stderr  # by the budget alone, which may stay open
    assert "warning: resnet" in ran.stderr and "near chance, which is 10.00 %" in ran.stderr
    warnings = json.loads((place.run_dir / "result.json").read_bytes())["warnings"]
    assert any("near chance" in warning for warning in warnings)
    assert "preprocessing" not in ran.stderr


def test_weights_are_opened_before_anything_is_tried(finished: Place, tmp_path: Path) -> None:
    place = Place(tmp_path / "fresh")
    place.folder.mkdir()
    recipe = teacher_recipe(tmp_path, {"nobodys": np.zeros(3, np.float32)})
    ran = place.compress("--check", recipe=recipe)
    refused(ran, 2, "do not fit the model", "they are another model's")


def test_dry_run_writes_nothing_and_says_what_is_found(finished: Place, tmp_path: Path) -> None:
    place = Place(tmp_path / "none")
    place.folder.mkdir()
    ran = place.compress("--dry-run", "--json")
    plan = json.loads(ran.stdout)
    assert not any(step["found"] for step in plan["steps"])
    assert list(place.folder.iterdir()) == []
    again = json.loads(finished.compress("--dry-run", "--json").stdout)
    assert all(step["found"] for step in again["steps"])
    (before,), (after,) = plan["answers"], again["answers"]
    assert before["stored"] and before["stored_bytes"] is None and after["stored_bytes"] > 0


def test_check_tries_all_learning_and_trains_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path / "fresh")
    place.folder.mkdir()
    ran = place.compress("--check")
    assert (ran.code, ran.stdout) == (0, "distil: can begin; compares answers alone\n")
    assert not place.run_dir.exists()
    rows = json.loads(place.compress("--check", "--json", "--set", FITNET).stdout)["steps"]
    assert [row["loss"] for row in rows["distil"]] == ["fitnet"]


def test_the_store_tells_why_and_collects(finished: Place, tmp_path: Path) -> None:
    place = finished.copy_to(tmp_path / "copy")
    assert place.compress(*ONE_ENGINE, *OTHER).code == 0
    store = ("--store", str(place.store))
    keys = [result_of(p)["lineage"]["control"]["key"] for p in (finished, place)]
    why = edgekd("store", "why", *keys, *store)
    assert why.code == 0
    assert "epochs" in why.stdout
    kept = edgekd("store", "gc", "--keep", str(place.run_dir), "--yes", *store)
    assert kept.code == 0, kept.stderr
    assert edgekd("store", "verify", *store).code == 0
    again = place.compress(*ONE_ENGINE, *OTHER)
    assert again.code == 0
    total = len(result_of(place)["lineage"]) + 3  # bundle, explain, report
    assert f"{total} of {total} steps found" in again.stderr
