from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from edgekd import bundle
from edgekd import dataset
from edgekd import files
from edgekd.bundle import archive
from edgekd.bundle import manifest as manifests
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.fields.tokens import Tokens
from tests import bundle_example
from tests.bundle.test_manifest import sign
from tests.tokenizer_example import pieces


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return bundle_example.make(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One bundle that every test puts back as it was."""
    return bundle_example.make(tmp_path_factory.mktemp("kept"))


def put(folder: Path, name: str, data: bytes) -> None:
    """Replace a file and make the manifest fit it."""
    (folder / name).write_bytes(data)
    entry = {"sha256": files.digest_bytes(data), "size_bytes": len(data)}
    sign(folder, lambda manifest: manifest["files"].update({name: entry}))


def test_a_bundle_comes_back_as_it_was_written(folder: Path) -> None:
    found = bundle.load_bundle(folder)
    assert found.dataset == bundle_example.dataset()
    assert found.interface == bundle_example.INTERFACE
    assert found.golden["usual"].inputs["images"].shape == (8, 1, 4, 4)
    assert found.manifest.chosen.latency_ci95_ms == (0.09, 0.11)
    assert found.manifest.tolerance["onnxruntime/fp32"].max_abs == 1e-4
    assert {path.name for path in folder.iterdir()} == {"manifest.json", *manifests.FILES}


@pytest.mark.parametrize("name", ["manifest.json", *manifests.FILES])
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
                bundle.load_bundle(kept)
    finally:
        path.write_bytes(whole)
    bundle.load_bundle(kept)


@pytest.mark.parametrize("name", manifests.FILES)
def test_a_changed_or_missing_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BudgetMissed, match=f"{name}: got .* bytes, want"):
        bundle.load_bundle(folder)
    path.unlink()
    with pytest.raises(BudgetMissed, match=f"{name}: is missing"):
        bundle.load_bundle(folder)


def _symlink(folder: Path) -> None:
    shutil.move(folder / "task.json", folder.parent / "task.json")
    (folder / "task.json").symlink_to(folder.parent / "task.json")


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
            manifest["files"][name] = manifest["files"]["task.json"]

        sign(folder, add)

    return change


def _twice(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"{", b'{"name": "other",', 1))


def _golden(folder: Path) -> None:
    path = folder.parent / "other.safetensors"
    answers = {"inputs": np.ones((2, 1, 4, 5), "f"), "outputs": np.ones((2, 3), "f")}
    bundle_example.write_golden(path, answers)
    put(folder, "golden.safetensors", path.read_bytes())


def _golden_nan(folder: Path) -> None:
    path = folder.parent / "other.safetensors"
    wrong = np.full((2, 3), np.nan, np.float32)
    bundle_example.write_golden(path, {"inputs": np.ones((2, 1, 4, 4), "f"), "outputs": wrong})
    put(folder, "golden.safetensors", path.read_bytes())


def _golden_unnamed(folder: Path) -> None:
    path = folder.parent / "other.safetensors"
    save_file({"inputs": np.ones((2, 1, 4, 4), "f"), "outputs": np.ones((2, 3), "f")}, path)
    put(folder, "golden.safetensors", path.read_bytes())


HOSTILE: dict[str, Callable[[Path], None]] = {
    "symlink": _symlink,
    "symlinked manifest": _manifest_link,
    "fifo": _fifo,
    "fifo as manifest": _manifest_fifo,
    "folder as file": lambda f: ((f / "task.json").unlink(), (f / "task.json").mkdir()),
    "parent": _escape("../task.json"),
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
    "deep task": lambda f: put(f, "task.json", b"[" * 500_000),
    "a task of another kind": lambda f: put(f, "task.json", b'{"a": 1}'),
    "a list as task": lambda f: put(f, "task.json", b"[]"),
    "golden of the first format": _golden_unnamed,
    "no safetensors": lambda f: put(f, "golden.safetensors", b"\xff" * 64),
    "huge safetensors header": lambda f: put(
        f, "golden.safetensors", (2**40).to_bytes(8, "little") + b"{}"
    ),
    "golden of another size": _golden,
    "golden not a number": _golden_nan,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused(folder: Path, name: str) -> None:
    HOSTILE[name](folder)
    with pytest.raises(InputError) as caught:
        bundle.load_bundle(folder)
    assert "\n" not in caught.value.line()


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file", tmp_path / "nothing"):
        with pytest.raises(InputError):
            bundle.load_bundle(path)


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
def test_the_fields_of_the_task_are_held_to_their_meaning(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    folder = bundle_example.make(tmp_path)
    value = json.loads((folder / "task.json").read_bytes())
    value["inputs"]["images"] |= changed
    (folder / "task.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"task\.json: inputs\.images: "):
        bundle.read_contents(folder, manifests.read_manifest(folder))


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
        bundle.load_bundle(folder)


@pytest.mark.parametrize(
    "names",
    [["a", "b", 3], [], ["a"], {"a": 1}, "abc", None, ["a", "a"], ["a", "\x1b[31m"], ["a", "b\n"]],
)
def test_classes_are_a_list_of_names(tmp_path: Path, names: object) -> None:
    folder = bundle_example.make(tmp_path)
    value = json.loads((folder / "task.json").read_bytes())
    value["targets"]["labels"]["names"] = names
    (folder / "task.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"task\.json: targets\.labels: ") as caught:
        bundle.read_contents(folder, manifests.read_manifest(folder))
    assert "\x1b" not in caught.value.line() and "\n" not in caught.value.line()


def other_task(name: str) -> Callable[[dict], None]:
    return lambda value: value.update(task=name)


OTHER_TASKS: dict[str, Callable[[dict], object]] = {
    "unknown kind": lambda v: v["inputs"]["images"].update(kind="hologram"),
    "no kind": lambda v: v["inputs"]["images"].pop("kind"),
    "a number as kind": lambda v: v["inputs"]["images"].update(kind=3),
    "a field that no model takes": lambda v: v["inputs"].update(images=v["targets"]["labels"]),
    "no inputs": lambda v: v["inputs"].clear(),
    "no targets": lambda v: v["targets"].clear(),
    "another input": lambda v: v["inputs"].update(pictures=v["inputs"].pop("images")),
    "one input more": lambda v: v["inputs"].update(more=v["inputs"]["images"]),
    "an input of another size": lambda v: v["inputs"]["images"].update(width=5),
    "a huge input": lambda v: v["inputs"]["images"].update(width=2**15, height=2**13),
    "other classes": lambda v: v["targets"]["labels"].update(names=["a", "b"]),
    "numbers as target": lambda v: v["targets"].update(
        labels={"kind": "number", "columns": ["a"], "mean": [0.0], "std": [1.0]}
    ),
    "another task": other_task("regression"),
    "input and target": lambda v: v["targets"].update(images=v["inputs"]["images"]),
    "a path as name": lambda v: v["inputs"].update({"../x": v["inputs"].pop("images")}),
    "a list as inputs": lambda v: v.update(inputs=[]),
    "older format": lambda v: v.update(format="edgekd.data/1"),
    "unknown key": lambda v: v.update(run="rm -rf"),
    "no task": lambda v: v.pop("task"),
}


@pytest.mark.parametrize("name", OTHER_TASKS)
def test_a_task_that_is_not_the_models_is_refused(folder: Path, name: str) -> None:
    value = json.loads((folder / "task.json").read_bytes())
    OTHER_TASKS[name](value)
    put(folder, "task.json", files.pretty_json(value))
    with pytest.raises(InputError) as caught:
        bundle.load_bundle(folder)
    assert "\n" not in caught.value.line() and len(caught.value.line()) < 500


def test_a_golden_file_without_samples_is_none(tmp_path: Path) -> None:
    tensors = {
        "inputs": np.zeros((0, 1, 4, 4), np.float32),
        "outputs": np.zeros((0, 3), np.float32),
        "pixels": None,
    }
    with pytest.raises(InputError, match=r"golden\.safetensors: got float32 \[0, 1, 4, 4\]"):
        bundle.load_bundle(bundle_example.make(tmp_path, tensors=tensors))


def test_a_tokenizer_goes_with_its_bundle_and_into_the_fields_that_are_of_it(
    tmp_path: Path,
) -> None:
    made = bundle_example.make(tmp_path, tokenizer=pieces())
    archive.pack(made, tmp_path / "tiny.edgekd")
    with archive.open_bundle(tmp_path / "tiny.edgekd") as folder:
        assert (folder / "tokenizer.json").read_bytes() == pieces()
        manifest = bundle.load_bundle(folder).manifest
        digest = manifest.files["tokenizer.json"].sha256
        words = {"vocabulary": 21, "usual": 4, "longest": 6, "encoding": "tokenizer"}
        for told in (digest, "0" * 64):
            text = Tokens(**words, tokenizer=told)
            found = dataclasses.replace(bundle_example.dataset(), inputs={"text": text})
            (folder / "task.json").write_bytes(files.pretty_json(dataset.to_json(found)))
            if told == digest:
                (read,) = bundle.read_dataset(folder, manifest).inputs.values()
                assert [row.tolist() for row in read.read(b"Ada met Bob")] == [[2, 4, 11, 10, 3]]
                assert read == text and read.to_json() == text.to_json()
                continue
            with pytest.raises(InputError, match=r"tokenizer\.json: got another tokenizer"):
                bundle.read_dataset(folder, manifest)
    (made / "tokenizer.json").write_bytes(pieces() + b" ")
    with pytest.raises(BudgetMissed, match=r"tokenizer\.json"):
        bundle.load_bundle(made)
