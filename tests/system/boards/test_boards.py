"""The product on processors this machine does not have; latency there means nothing and is not looked at.

    pip install torch onnxruntime; python tests/system/boards/files.py FILES
    tests/system/boards/arm64.sh build ARM64
    tests/system/boards/haswell.sh build HASWELL
    EDGEKD_BOARD_FILES=FILES EDGEKD_ARM64=ARM64 EDGEKD_HASWELL=HASWELL \
        pytest -m board tests/system/boards      (numbers: -o junit_family=xunit1 --junitxml FILE)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekd.bench import saturation

pytestmark = pytest.mark.board

HERE = Path(__file__).parent
SAMPLES = 200
POINTS = 0.2
ANSWERS = """
import sys
from pathlib import Path
import numpy as np
from edgekd.bench.machine.emulation import find_emulator
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd import bundle
from edgekd.bundle import archive

path, images, goal = map(Path, sys.argv[1:])
assert find_emulator() == "qemu-user", find_emulator()
with archive.open_bundle(path) as folder:
    found = bundle.load_bundle(folder)
    engine = Engine("onnxruntime", "fp32", 1, {"model.onnx": folder / "model.onnx"})
    split = write_inputs({"images": np.load(images)}, goal.with_suffix(".split"))
    np.save(goal, compute_outputs(engine, split, fields=found.dataset.inputs)["logits"])
"""

Board = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs ``edgekd`` or ``python`` with arguments; files lie in its folder `place`."""


def folder_of(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} names no board")
    return Path(os.environ[variable]).resolve()


@pytest.fixture(scope="module")
def given() -> Path:
    return folder_of("EDGEKD_BOARD_FILES")


def board(script: str, folder: Path, binaries: str) -> Board:
    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        order = [HERE / script, "run", folder, f"{binaries}{program}", *arguments]
        return subprocess.run([str(part) for part in order], capture_output=True, text=True)

    return run


@pytest.fixture(scope="module")
def arm64(given: Path) -> Iterator[Board]:
    root = folder_of("EDGEKD_ARM64")
    place = root / "tmp" / "given"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(given, place)
    yield board("arm64.sh", root, "/opt/edgekd/bin/")
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def haswell() -> Board:
    return board("haswell.sh", folder_of("EDGEKD_HASWELL"), "")


def answers(run: Board, files: Path, name: str, images: str, goal: str) -> None:
    done = run("python", "-c", ANSWERS, files / f"{name}.edgekd", files / images, files / goal)
    assert done.returncode == 0, done.stderr


def test_the_bundle_verifies_on_arm64(arm64: Board) -> None:
    done = arm64("edgekd", "verify", "/tmp/given/student.edgekd", "--json")
    assert done.returncode == 0, done.stderr
    assert {check["verdict"] for check in json.loads(done.stdout)["checks"]} == {"ok"}


def test_a_thousand_images_have_the_same_accuracy_on_arm64(
    arm64: Board, given: Path, record_property: Callable[[str, object], None]
) -> None:
    place = Path("/tmp/given")
    answers(arm64, place, "student", "images.npy", "answers.npy")
    here = np.load(given / "measured.npz")["student"]
    there = np.load(folder_of("EDGEKD_ARM64") / "tmp/given/answers.npy")
    labels = np.load(given / "labels.npy")
    points = 100 * abs((there.argmax(1) == labels).mean() - (here.argmax(1) == labels).mean())
    record_property("points", points)
    record_property("accuracy", (there.argmax(1) == labels).mean())
    record_property("largest difference of a logit", np.abs(here - there).max())
    assert len(labels) == 1000 and points <= POINTS
    assert np.abs(here - there).max() < 1e-3


def test_neither_int8_file_is_flagged_on_arm64(arm64: Board) -> None:
    for name in ("losing", "sound"):
        done = arm64("edgekd", "verify", f"/tmp/given/{name}.edgekd", "--json")
        verdicts = {c["what"]: c["verdict"] for c in json.loads(done.stdout)["checks"]}
        assert verdicts["instruction set"] == "ok", done.stdout


@pytest.mark.parametrize(("name", "verdict"), [("losing", "failed"), ("sound", "ok")])
def test_verify_names_the_file_that_loses_without_vnni(
    haswell: Board, given: Path, name: str, verdict: str
) -> None:
    done = haswell("edgekd", "verify", given / f"{name}.edgekd", "--json")
    checks = {check["what"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["instruction set"]["verdict"] == verdict
    assert ("7 bits" in checks["instruction set"]["text"]) is (verdict == "failed")
    assert done.returncode == (1 if verdict == "failed" else 0), done.stderr


@pytest.mark.parametrize(("name", "signs"), [("losing", ("logits", "accuracy")), ("sound", ())])
def test_logits_and_accuracy_tell_within_200_samples(
    haswell: Board,
    given: Path,
    tmp_path: Path,
    name: str,
    signs: tuple[str, ...],
    record_property: Callable[[str, object], None],
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    shutil.copy(given / f"{name}.edgekd", files)
    np.save(files / "images.npy", np.load(given / "images.npy")[:SAMPLES])
    answers(haswell, files, name, "images.npy", "answers.npy")
    measured = np.load(given / "measured.npz")
    seen = saturation.check_saturation(
        measured["student"][:SAMPLES],
        np.load(files / "answers.npy"),
        measured=measured[name][:SAMPLES],
        labels=np.load(given / "labels.npy")[:SAMPLES],
    )
    record_property(name, seen.text())
    assert seen.signs == signs, seen.text()
