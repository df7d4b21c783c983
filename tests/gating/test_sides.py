from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd import bundle
from edgekd import files
from edgekd.bench.machine import host
from edgekd.bench.sized_scores import score_by_size
from edgekd.bundle import archive
from edgekd.bundle import signature
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.gate import ComparedPair
from edgekd.gate import EvaluationSamples
from edgekd.gate import compute_score_rows
from edgekd.gating import sides
from edgekd.tasks import classification
from tests import bundle_example
from tests import gate_example
from tests import report_example
from tests.bench.test_scores import texts
from tests.bundle import sized_example
from tests.bundle.test_signature import write_keys

DIGEST = report_example.DIGEST


def run_folder(folder: Path, key: str = DIGEST, **other: Any) -> Path:
    """A run folder whose data step has `key`; `other` goes to its result."""
    made = gate_example.bundle_at(folder / "parts", created_from={"data": key})
    (folder / "run").mkdir()
    shutil.copytree(made, folder / "run" / "bundle")
    value = report_example.result(**other).model_dump(mode="json")
    (folder / "run" / "result.json").write_bytes(files.pretty_json(value))
    return folder / "run"


def test_a_run_a_bundle_and_an_archive_are_the_same_model(tmp_path: Path) -> None:
    run = run_folder(tmp_path)
    archive.pack(run / "bundle", tmp_path / "student.edgekd")
    digests = set()
    for path in (run, run / "bundle", tmp_path / "student.edgekd"):
        with sides.open_side(path) as told:
            assert told.given == str(path) and (told.result is not None) == (path == run)
            digests.add(told.bundle.manifest.digest)
    assert len(digests) == 1


def test_what_is_none_of_these_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no bundle")
    for path in (tmp_path, tmp_path / "text", tmp_path / "absent"):
        with pytest.raises(InputError), sides.open_side(path):
            pass


def test_a_changed_file_is_wrong_input_and_no_failed_gate(tmp_path: Path) -> None:
    run = run_folder(tmp_path)
    archive.pack(run / "bundle", tmp_path / "student.edgekd")
    (run / "bundle" / "task.json").write_text("{}")
    with pytest.raises(InputError, match="as it was written"), sides.open_side(run):
        pass
    data = bytearray((tmp_path / "student.edgekd").read_bytes())
    data[-200] ^= 1
    (tmp_path / "student.edgekd").write_bytes(data)
    with pytest.raises(InputError), sides.open_side(tmp_path / "student.edgekd"):
        pass


def test_a_run_that_chose_nothing_has_nothing_to_gate(tmp_path: Path) -> None:
    choice = {
        "metric": report_example.SCALE._asdict(),
        "chosen": None,
        "nearest": None,
        "why": "none",
        "budget": [],
    }
    run = run_folder(tmp_path, choice=choice)
    with pytest.raises(InputError, match="chose nothing"), sides.open_side(run):
        pass


def test_a_bundle_of_another_run_is_refused(tmp_path: Path) -> None:
    run = run_folder(tmp_path, key="9" * 64)
    with (
        pytest.raises(InputError, match="another run: its step 'data' differs"),
        sides.open_side(run),
    ):
        pass


def test_the_engine_is_compiled_anew(tmp_path: Path) -> None:
    with sides.open_side(run_folder(tmp_path)) as told:
        assert told.result is not None and not told.result.student.near_chance
        student = told.result.student.model_copy(update={"near_chance": True})
        told = told._replace(result=told.result.model_copy(update={"student": student}))
        side = sides.compile_side(told, local.DEVICE, tmp_path / "scratch")
    assert side.near_chance
    assert side.engine.label() == "onnxruntime-fp32-1t"
    assert all(path.parent == tmp_path / "scratch" for path in side.engine.files.values())
    assert sum(side.kernels.values()) >= 1 and all(k.endswith("f32") for k in side.kernels)
    assert side.size_bytes == (tmp_path / "run" / "bundle" / "model.onnx").stat().st_size
    assert side.complexity == {"parameters": 48, "macs": 9_700_000}


def test_an_engine_that_is_not_here_is_the_machines_lack(tmp_path: Path) -> None:
    rows = [bundle_example.row("onnxruntime-fp16-1t")]
    path = gate_example.bundle_at(tmp_path / "a", rows=rows, chosen="onnxruntime-fp16-1t")
    with sides.open_side(path) as told, pytest.raises(MachineError, match="onnxruntime fp16: "):
        sides.compile_side(told, local.DEVICE, tmp_path / "scratch")


def test_an_engine_that_no_distribution_here_has_is_missing(tmp_path: Path) -> None:
    """It may be a plugin's that is installed elsewhere."""
    rows = [bundle_example.row("onnxruntime-fp32-1t", runtime="nowhere")]
    path = gate_example.bundle_at(tmp_path / "a", rows=rows)
    with (
        sides.open_side(path) as told,
        pytest.raises(MachineError, match="nowhere is not installed"),
    ):
        sides.compile_side(told, local.DEVICE, tmp_path / "scratch")


def test_a_key_must_have_signed_the_bundle(tmp_path: Path) -> None:
    private, public = write_keys(tmp_path)
    folder = gate_example.bundle_at(tmp_path / "parts")
    with (
        pytest.raises(InputError, match=r"signature\.json: is missing"),
        sides.open_side(folder, key=public),
    ):
        pass
    digest = bundle.load_bundle(folder).manifest.digest
    (folder / "signature.json").write_bytes(signature.sign(digest, private, None))
    with sides.open_side(folder, key=public) as found:
        assert found.bundle.manifest.digest == digest
    _, other = write_keys(tmp_path, seed=2)
    with pytest.raises(InputError, match="is by ed25519"), sides.open_side(folder, key=other):
        pass


def test_no_more_threads_than_there_are_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "max_threads", lambda device: 2)
    row = bundle_example.row("onnxruntime-fp32-1t", threads=64)
    (tmp_path / "parts").mkdir()
    folder = bundle_example.make(tmp_path / "parts", rows=[row])
    with sides.open_side(folder) as found:
        assert sides.compile_side(found, local.DEVICE, tmp_path / "scratch").engine.threads == 2


def test_a_bundle_with_an_engine_for_each_size_is_judged_by_all_of_them(tmp_path: Path) -> None:
    """The score is asked of the engine for each text's size; the bytes are those of all files."""
    (tmp_path / "parts").mkdir()
    made = sized_example.make(tmp_path / "parts")
    with sides.open_side(made) as told:
        side = sides.compile_side(told, local.DEVICE, tmp_path / "scratch")
    assert side.sized is not None and side.sized.bounds == (sized_example.BOUND,)
    assert [each.runtime for each in side.sized.engines] == ["onnxruntime", "openvino"]
    sizes = [
        sum(path.stat().st_size for path in each.files.values()) for each in side.sized.engines
    ]
    assert side.size_bytes == sum(sizes) and side.engine.runtime == "onnxruntime"
    split, _ = texts(tmp_path, 20)
    pair = ComparedPair(side, side, EvaluationSamples(split, 20, "texts", "0" * 64), "here")
    metric, rows = compute_score_rows(pair, side, pair.samples, 60.0)
    want = score_by_size(side.sized, split, told.bundle.dataset, classification.TASK)
    np.testing.assert_array_equal(rows, want[metric.name])
