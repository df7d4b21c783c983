"""Bundles of the first format, spelled as the versions that wrote them did, by json and hashlib alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from edgekd import bundle
from edgekd.bundle import archive
from edgekd.bundle import verify as bundle_verify
from edgekd.cli.bundle import command as bundle_command
from edgekd.cli.predict import command as predict_command
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.interface import image_classifier
from tests import bundle_example

MANIFEST: dict[str, Any] = {
    "format": "edgekd.bundle/1",
    "name": "old",
    "edgekd": "0.5.0",
    "created_from": {"data": "0" * 64},
    "chosen": {
        "name": "onnxruntime-fp32-1t",
        "runtime": "onnxruntime",
        "precision": "fp32",
        "threads": 1,
        "validation_accuracy": 0.9,
        "latency_p50_ms": 0.1,
        "latency_ci95_ms": [0.09, 0.11],
        "peak_rss_bytes": 30000000,
        "size_bytes": 400,
    },
    "tolerance": {"onnxruntime/fp32": {"max_abs": 0.0001, "top1_agreement": 1.0}},
}
PREPROCESSING = {"height": 4, "width": 4, "channels": 1, "mean": [0.5], "std": [0.25]}
ORDER = (
    "MODEL_CARD.md",
    "golden.safetensors",
    "labels.json",
    "measured.json",
    "model.onnx",
    "preprocessing.json",
)


def pretty(value: Any) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def seal(folder: Path, **changes: Any) -> None:
    """Write the manifest over what lies there."""
    described = {}
    for name in ORDER:
        data = (folder / name).read_bytes()
        described[name] = {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
    whole = {**MANIFEST, **changes, "files": described}
    spelled = json.dumps(whole, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    digest = hashlib.sha256(spelled).hexdigest()
    (folder / "manifest.json").write_bytes(pretty({**whole, "digest": digest}))


def make(place: Path, **tensors: np.ndarray | None) -> Path:
    """A bundle of the first format at ``place/old``; `tensors` replaces its golden ones or, None, leaves some out."""
    folder = place / "old"
    folder.mkdir()
    weights = bundle_example.model(folder / "model.onnx")
    save_file(bundle_example.golden(weights, **tensors), folder / "golden.safetensors")
    (folder / "MODEL_CARD.md").write_bytes(b"# old\n")
    (folder / "labels.json").write_bytes(pretty(["a", "b", "c"]))
    (folder / "measured.json").write_bytes(pretty([]))
    (folder / "preprocessing.json").write_bytes(pretty(PREPROCESSING))
    seal(folder)
    return folder


def test_it_is_read_as_one_of_today(tmp_path: Path) -> None:
    found = bundle.load_bundle(make(tmp_path))
    assert found.dataset == bundle_example.dataset()
    assert found.interface == image_classifier(classes=3, channels=1, height=4, width=4)
    assert found.manifest.chosen.validation_score == 0.9
    assert found.manifest.metric.name == "accuracy"
    assert found.manifest.tolerance["onnxruntime/fp32"].agreement == 1.0
    usual = found.golden["usual"]
    assert usual.inputs["images"].shape == (8, 1, 4, 4) and usual.outputs["logits"].shape == (8, 3)
    assert usual.rows["images"].shape == (1, 4, 4, 1)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_it_verifies_as_the_same_one_of_today_does(tmp_path: Path, runtime: str) -> None:
    old = bundle_verify.verify(make(tmp_path), runtime)
    bundle_verify.require_sound(old)
    new = bundle_verify.verify(bundle_example.make(tmp_path), runtime)
    assert old.checks[-2:] == new.checks[-2:]
    assert {check.what for check in old.checks} >= {"manifest.json", *ORDER}


def test_golden_answers_by_name_are_the_same(tmp_path: Path) -> None:
    folder = make(tmp_path)
    tensors = bundle_example.golden(bundle_example.model(folder / "model.onnx"))
    bundle_example.write_golden(folder / "golden.safetensors", tensors)
    seal(folder)
    report = bundle_verify.verify(folder)
    bundle_verify.require_sound(report)
    (tmp_path / "other").mkdir()
    assert report.checks[-2:] == bundle_verify.verify(make(tmp_path / "other")).checks[-2:]


def test_one_without_pixels_still_verifies(tmp_path: Path) -> None:
    report = bundle_verify.verify(make(tmp_path, pixels=None))
    assert {c.what: c.verdict for c in report.checks}["preprocessing"] == "not checked"
    bundle_verify.require_sound(report)


def test_another_models_answers_fail(tmp_path: Path) -> None:
    folder = make(tmp_path)
    bundle_example.model(folder / "model.onnx", seed=5)
    seal(folder)
    with pytest.raises(BudgetMissed, match="largest difference"):
        bundle_verify.require_sound(bundle_verify.verify(folder))


def test_it_answers_as_the_same_one_of_today_does(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(16, dtype=np.uint8).reshape(4, 4))
    outputs = set()
    for folder in (make(tmp_path), bundle_example.make(tmp_path)):
        order = [str(folder), str(tmp_path / "a.npy"), "--json"]
        done = CliRunner().invoke(predict_command, order)
        assert done.exit_code == 0, done.exception
        outputs.add(done.output)
    assert len(outputs) == 1


def test_it_is_packed_and_unpacked(tmp_path: Path) -> None:
    folder, goal = make(tmp_path), tmp_path / "old.edgekd"
    done = CliRunner().invoke(bundle_command, [str(folder), "-o", str(goal)])
    assert done.exit_code == 0, done.exception
    with zipfile.ZipFile(goal) as known:
        assert known.namelist() == ["manifest.json", *ORDER]
    with archive.open_bundle(goal) as scratch:
        assert bundle.load_bundle(scratch).manifest == bundle.load_bundle(folder).manifest
        for name in ("manifest.json", *ORDER):
            assert (scratch / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", ORDER)
def test_a_changed_or_missing_file_is_named(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(BudgetMissed, match=f"{name}: got another SHA-256"):
        bundle.load_bundle(folder)
    (folder / name).unlink()
    with pytest.raises(BudgetMissed, match=f"{name}: is missing"):
        bundle.load_bundle(folder)


def put(name: str, value: Any) -> Callable[[Path], None]:
    """Replace a file and make the manifest fit it."""

    def change(folder: Path) -> None:
        data = value if isinstance(value, bytes) else pretty(value)
        (folder / name).write_bytes(data)
        seal(folder)

    return change


def preprocessing(**changes: Any) -> Callable[[Path], None]:
    return put("preprocessing.json", {**PREPROCESSING, **changes})


def chosen(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: seal(folder, chosen={**MANIFEST["chosen"], **changes})


def tolerance(value: Any) -> Callable[[Path], None]:
    return lambda folder: seal(folder, tolerance=value)


def both_formats(folder: Path) -> None:
    shutil.copy(bundle_example.make(folder.parent) / "task.json", folder / "task.json")


def said_to_be_of_today(folder: Path) -> None:
    seal(folder, format="edgekd.bundle/2")


HOSTILE: dict[str, Callable[[Path], None]] = {
    "deep labels": put("labels.json", b"[" * 500_000),
    "labels of another kind": put("labels.json", {"a": 1}),
    "a number as label": put("labels.json", ["a", "b", 3]),
    "no labels": put("labels.json", []),
    "text as labels": put("labels.json", "abc"),
    "null as labels": put("labels.json", None),
    "more labels than logits": put("labels.json", ["a", "b", "c", "d"]),
    "an escape in a label": put("labels.json", ["a", "\x1b[31mb", "c"]),
    "no preprocessing": put("preprocessing.json", {}),
    "a list as preprocessing": put("preprocessing.json", []),
    "a field as preprocessing": preprocessing(kind="image"),
    "another size": preprocessing(width=5),
    "no size": preprocessing(height=0),
    "a size that is no whole number": preprocessing(height=4.5),
    "a huge size": preprocessing(height=2**40),
    "huge together": preprocessing(height=2**15, width=2**15),
    "many channels": preprocessing(channels=2**20),
    "std of 0": preprocessing(std=[0.0]),
    "std below 0": preprocessing(std=[-1.0]),
    "std of two channels": preprocessing(std=[0.25, 0.25]),
    "no std": preprocessing(std=[]),
    "tiny std": preprocessing(std=[1e-300]),
    "huge mean": preprocessing(mean=[1e7]),
    "text as mean": preprocessing(mean=["0.5"]),
    "unknown key": preprocessing(extra=1),
    "no safetensors": put("golden.safetensors", b"\xff" * 64),
    "a score of today's name": chosen(validation_score=0.9),
    "a score that is text": chosen(validation_accuracy="0.9"),
    "no numbers as chosen": lambda folder: seal(folder, chosen=[]),
    "no tolerances": tolerance([]),
    "a number as tolerance": tolerance({"onnxruntime/fp32": 3}),
    "no agreement": tolerance({"onnxruntime/fp32": {"max_abs": 1}}),
    "both agreements": tolerance(
        {"onnxruntime/fp32": {"max_abs": 1, "top1_agreement": 1, "agreement": 0}}
    ),
    "a metric": lambda folder: seal(folder, metric={"name": "RMSE"}),
    "an interface": lambda folder: seal(folder, interface=[]),
    "files of both formats": both_formats,
    "said to be of today": said_to_be_of_today,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_one_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path)
    HOSTILE[name](folder)
    with pytest.raises(InputError) as caught:
        bundle.load_bundle(folder)
    line = caught.value.line()
    assert "\n" not in line and "\x1b" not in line and len(line) < 500


@pytest.mark.parametrize(
    "tensors",
    [
        {"pixels": np.zeros((1, 4, 4, 1), np.float32)},
        {"pixels": np.zeros((9, 4, 4, 1), np.uint8)},
        {"inputs": np.full((8, 1, 4, 4), np.nan, np.float32)},
        {"inputs": np.zeros((8, 1, 4, 5), np.float32)},
        {"outputs": np.zeros((8, 4), np.float32)},
        {"outputs": np.zeros((7, 3), np.float32)},
    ],
)
def test_its_golden_tensors_are_held_to_their_form(
    tmp_path: Path, tensors: dict[str, np.ndarray]
) -> None:
    with pytest.raises(InputError, match=r"golden\.safetensors: got"):
        bundle.load_bundle(make(tmp_path, **tensors))
