from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from edgekd import bundle
from edgekd import files
from edgekd.errors import BudgetMissed
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from tests import bundle_example


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundle_example.make(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundle that every test puts back as it was."""
    return bundle_example.make(tmp_path_factory.mktemp("kept"))


def sign(folder: Path, change: Callable[[dict], None]) -> None:
    """What a hostile hand would do: change the manifest and make its own digest fit."""
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    del manifest["digest"]
    manifest["digest"] = files.digest_bytes(files.canonical_json(manifest))
    (folder / "manifest.json").write_bytes(files.pretty_json(manifest))


def put(folder: Path, name: str, data: bytes) -> None:
    """Replace a file and make the manifest fit it."""
    (folder / name).write_bytes(data)
    entry = {"sha256": files.digest_bytes(data), "size_bytes": len(data)}
    sign(folder, lambda manifest: manifest["files"].update({name: entry}))


def test_a_bundle_comes_back_as_it_was_written(folder: Path) -> None:
    found = bundle.check(folder)
    assert found.preprocessing == bundle_example.PREPROCESSING
    assert found.labels == bundle_example.LABELS
    assert found.golden["usual"].inputs[""].shape == (8, 1, 4, 4)
    assert found.manifest.chosen.latency_ci95_ms == (0.09, 0.11)
    assert found.manifest.tolerance["onnxruntime/fp32"].max_abs == 1e-4
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *bundle.FILES}


@pytest.mark.parametrize("name", ["manifest.json", *bundle.FILES])
def test_every_flipped_byte_is_caught(kept: Path, name: str) -> None:
    path = kept / name
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    try:
        for position in range(len(whole)):
            changed = bytearray(whole)
            changed[position] ^= int(rng.integers(1, 256))
            path.write_bytes(changed)
            with pytest.raises((BudgetMissed, InputError)):
                bundle.check(kept)
    finally:
        path.write_bytes(whole)
    bundle.check(kept)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=200), position=st.integers(0, 5000), cut=st.integers(0, 300))
def test_a_manifest_cut_and_mended_at_random_is_caught(
    kept: Path, data: bytes, position: int, cut: int
) -> None:
    path = kept / "manifest.json"
    whole = path.read_bytes()
    start = position % len(whole)
    changed = whole[:start] + data + whole[start + cut :]
    if changed == whole:
        return
    try:
        path.write_bytes(changed)
        with pytest.raises(EdgekdError) as caught:
            bundle.check(kept)
        assert caught.value.exit_code in (1, 2)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("name", bundle.FILES)
def test_a_changed_or_missing_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BudgetMissed, match=f"{name}: got .* bytes, want"):
        bundle.check(folder)
    path.unlink()
    with pytest.raises(BudgetMissed, match=f"{name}: is missing"):
        bundle.check(folder)


def _symlink(folder: Path) -> None:
    shutil.move(folder / "labels.json", folder.parent / "labels.json")
    (folder / "labels.json").symlink_to(folder.parent / "labels.json")


def _manifest_link(folder: Path) -> None:
    shutil.move(folder / "manifest.json", folder.parent / "manifest.json")
    (folder / "manifest.json").symlink_to(folder.parent / "manifest.json")


def _fifo(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    os.mkfifo(folder / "model.onnx")


def _manifest_fifo(folder: Path) -> None:
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")


def _escape(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        def add(manifest: dict) -> None:
            manifest["files"][name] = manifest["files"]["labels.json"]

        sign(folder, add)

    return change


def _twice(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"{", b'{"name": "other",', 1))


def _golden(folder: Path) -> None:
    path = folder.parent / "other.safetensors"
    save_file({"inputs": np.ones((2, 1, 4, 5), "f"), "outputs": np.ones((2, 3), "f")}, path)
    put(folder, "golden.safetensors", path.read_bytes())


def _golden_nan(folder: Path) -> None:
    path = folder.parent / "other.safetensors"
    wrong = np.full((2, 3), np.nan, np.float32)
    save_file({"inputs": np.ones((2, 1, 4, 4), "f"), "outputs": wrong}, path)
    put(folder, "golden.safetensors", path.read_bytes())


HOSTILE: dict[str, Callable[[Path], None]] = {
    "symlink": _symlink,
    "symlinked manifest": _manifest_link,
    "fifo": _fifo,
    "fifo as manifest": _manifest_fifo,
    "folder as file": lambda f: ((f / "labels.json").unlink(), (f / "labels.json").mkdir()),
    "parent": _escape("../labels.json"),
    "absolute": _escape("/etc/passwd"),
    "stranger": lambda f: (f / "extra.py").write_text("print()"),
    "hidden stranger": lambda f: (f / ".hidden").write_text(""),
    "huge manifest": lambda f: (f / "manifest.json").write_bytes(b" " * (2**20 + 1)),
    "deep manifest": lambda f: (f / "manifest.json").write_bytes(b"[" * 500_000),
    "key twice": _twice,
    "no json": lambda f: (f / "manifest.json").write_bytes(b"\x00\xff"),
    "a list": lambda f: (f / "manifest.json").write_bytes(b"[]\n"),
    "other format": lambda f: sign(f, lambda m: m.update(format="edgekd.bundle/9")),
    "unknown key": lambda f: sign(f, lambda m: m.update(run="rm -rf")),
    "not a number": lambda f: sign(f, lambda m: m["chosen"].update(threads="1")),
    "infinite": lambda f: (f / "manifest.json").write_text(
        (f / "manifest.json").read_text().replace("0.0001", "1e999")
    ),
    "huge file": lambda f: sign(f, lambda m: m["files"]["model.onnx"].update(size_bytes=2**40)),
    "deep labels": lambda f: put(f, "labels.json", b"[" * 500_000),
    "labels of another kind": lambda f: put(f, "labels.json", b'{"a": 1}'),
    "no safetensors": lambda f: put(f, "golden.safetensors", b"\xff" * 64),
    "huge safetensors header": lambda f: put(
        f, "golden.safetensors", (2**40).to_bytes(8, "little") + b"{}"
    ),
    "golden of another size": _golden,
    "golden not a number": _golden_nan,
    "no preprocessing": lambda f: put(f, "preprocessing.json", b"{}"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused(folder: Path, name: str) -> None:
    HOSTILE[name](folder)
    with pytest.raises(InputError) as caught:
        bundle.check(folder)
    assert "\n" not in caught.value.line()


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(InputError):
            bundle.check(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"std": [0.0]},
        {"std": [-1.0]},
        {"std": [0.25, 0.25]},
        {"std": []},
        {"mean": [0.5, 0.5]},
        {"mean": [1e7]},
        {"std": [1e-300]},
        {"height": 2**40},
        {"height": 0},
        {"channels": 2**20},
        {"height": 2**15, "width": 2**15},
        {"mean": ["0.5"]},
        {"extra": 1},
        {"height": 4.5},
    ],
    ids=str,
)
def test_preprocessing_is_held_to_its_meaning(tmp_path: Path, changed: dict[str, Any]) -> None:
    folder = bundle_example.make(tmp_path)
    value = {**json.loads((folder / "preprocessing.json").read_bytes()), **changed}
    (folder / "preprocessing.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"preprocessing\.json: "):
        bundle.read_contents(folder, bundle.read_manifest(folder))


@pytest.mark.parametrize(
    "tensors",
    [
        {"pixels": np.zeros((1, 4, 4, 1), np.float32)},
        {"pixels": np.zeros((1, 1, 4, 4), np.uint8)},
        {"pixels": np.zeros((0, 4, 4, 1), np.uint8)},
        {"pixels": np.zeros((9, 4, 4, 1), np.uint8)},
        {"inputs": np.full((8, 1, 4, 4), np.nan, np.float32)},
        {"outputs": np.full((8, 3), np.inf, np.float32)},
        {"inputs": np.zeros((8, 1, 4, 4), np.float64)},
        {"outputs": np.zeros((7, 3), np.float32)},
    ],
)
def test_golden_tensors_are_held_to_their_form(
    tmp_path: Path, tensors: dict[str, np.ndarray | None]
) -> None:
    folder = bundle_example.make(tmp_path, tensors=tensors)
    with pytest.raises(InputError, match=r"golden\.safetensors: got"):
        bundle.check(folder)


@pytest.mark.parametrize("labels", [["a", "b", 3], [], {"a": 1}, "abc", None])
def test_labels_are_a_list_of_names(tmp_path: Path, labels: object) -> None:
    folder = bundle_example.make(tmp_path)
    (folder / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(InputError, match=r"labels\.json: got no list of names"):
        bundle.read_contents(folder, bundle.read_manifest(folder))


@pytest.mark.parametrize("precision", ["a/b", "../x", "nul\0", "é" * 200])
def test_a_precision_that_is_none_is_refused(tmp_path: Path, precision: str) -> None:
    row = bundle_example.row(precision=precision)
    folder = bundle_example.make(tmp_path, rows=[row])
    with pytest.raises(InputError, match=r"chosen\.precision"):
        bundle.check(folder)


def test_a_file_of_a_bundle_has_2_gib_at_most(folder: Path) -> None:
    model = {"model.onnx": {"sha256": "0" * 64, "size_bytes": 2**31}}
    sign(folder, lambda manifest: manifest["files"].update(model))
    assert bundle.read_manifest(folder).files["model.onnx"].size_bytes == 2**31
    model["model.onnx"]["size_bytes"] += 1
    sign(folder, lambda manifest: manifest["files"].update(model))
    with pytest.raises(InputError, match=r"files\.model\.onnx\.size_bytes"):
        bundle.read_manifest(folder)


def test_a_text_in_the_manifest_has_200_characters_at_most(folder: Path) -> None:
    sign(folder, lambda manifest: manifest.update(name="n" * 200))
    assert bundle.read_manifest(folder).name == "n" * 200
    sign(folder, lambda manifest: manifest.update(name="n" * 201))
    with pytest.raises(InputError, match=r"manifest\.json: name: "):
        bundle.read_manifest(folder)


def grow(folder: Path, size_bytes: int) -> None:
    """Name so many steps in the manifest that it has this size."""
    sign(folder, lambda manifest: manifest.update(created_from={"00000": ""}))
    left = size_bytes - (folder / "manifest.json").stat().st_size
    count, rest = divmod(left, len('    "00000": "",\n') + 100)
    steps = {f"{n:05}": "x" * (100 if n else rest) for n in range(count + 1)}
    sign(folder, lambda manifest: manifest.update(created_from=steps))
    assert (folder / "manifest.json").stat().st_size == size_bytes


def test_a_manifest_has_1_mib_at_most(folder: Path) -> None:
    grow(folder, 2**20)
    assert len(bundle.read_manifest(folder).created_from) > 8000
    grow(folder, 2**20 + 1)
    with pytest.raises(InputError, match="got more than 1048576 bytes"):
        bundle.read_manifest(folder)


def test_a_golden_file_without_samples_is_none(tmp_path: Path) -> None:
    tensors = {
        "inputs": np.zeros((0, 1, 4, 4), np.float32),
        "outputs": np.zeros((0, 3), np.float32),
        "pixels": None,
    }
    with pytest.raises(InputError, match=r"golden\.safetensors: got float32 \[0, 1, 4, 4\]"):
        bundle.check(bundle_example.make(tmp_path, tensors=tensors))
