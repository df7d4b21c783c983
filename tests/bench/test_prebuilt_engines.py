from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import openvino
import pytest

from edgekd.bench import prebuilt_engines
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import compute_key
from tests import bench_example

MADE = CreationTime("2026-01-02T03:04:05Z", 1.0)


def twins(**inputs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two inputs whose keys begin with the same six characters."""
    begun: dict[str, dict[str, Any]] = {}
    for number in itertools.count():
        made = {**inputs, "number": number}
        start = compute_key(made)[:6]
        if start in begun:
            return begun[start], made
        begun[start] = made
    raise AssertionError


INPUTS, TWIN = twins(stage="compile")
KEY = compute_key(INPUTS)
EXPORT = {"stage": "export"}
ABOUT: dict[str, Any] = {
    "runtime": "null",
    "runtime_version": None,
    "precision": "fp32",
    "files": ["model.json"],
    "status": "ok",
    "reason": "",
}


def stored(folder: Path, inputs: dict[str, Any] = INPUTS, **more: Any) -> Path:
    store = Store(folder / "store").open()
    (folder / "engine.json").write_text(json.dumps({**ABOUT, **more}))
    (folder / "model.json").write_text("{}")
    made = {name: folder / name for name in ("engine.json", "model.json")}
    store.commit(inputs, made, MADE)
    return store.root


def ir(folder: Path) -> Path:
    model = openvino.Core().read_model(bench_example.write_onnx(folder / "net.onnx"))
    openvino.save_model(model, folder / "net.xml", compress_to_fp16=False)
    return folder / "net.xml"


def test_which_are_engines() -> None:
    for name in ("store:abcdef", "a/net.xml", "net.plan", "NET.ORT"):
        assert prebuilt_engines.is_prebuilt(Path(name))
    for name in ("net.onnx", "bundle", "net.edgekd", "net"):
        assert not prebuilt_engines.is_prebuilt(Path(name))


@pytest.mark.parametrize("suffix", sorted(prebuilt_engines.FOREIGN))
def test_engines_from_elsewhere_are_refused_with_the_safe_way(suffix: str) -> None:
    with pytest.raises(InputError, match="built elsewhere") as caught:
        prebuilt_engines.find_engine(Path(f"net{suffix}"), (), None)
    assert caught.value.hint == "edgekd bench net.onnx builds it here"


def test_an_ir_is_taken_as_it_is(tmp_path: Path) -> None:
    made = prebuilt_engines.find_engine(ir(tmp_path), (), None)
    assert (made.runtime, made.precisions, sorted(made.files)) == (
        "openvino",
        (),
        ["model.bin", "model.xml"],
    )
    assert prebuilt_engines.admit_engine(made, ("fp32",), 60, local.DEVICE) == openvino_version()
    before = made.sha256
    (tmp_path / "net.bin").write_bytes((tmp_path / "net.bin").read_bytes() + b"x")
    assert prebuilt_engines.find_engine(tmp_path / "net.xml", (), None).sha256 != before


def openvino_version() -> str:
    from importlib.metadata import version

    return version("openvino")


def test_an_ir_without_its_weights_or_with_a_link_out(tmp_path: Path) -> None:
    graph = ir(tmp_path)
    with pytest.raises(InputError, match="engine of openvino, want one of onnxruntime"):
        prebuilt_engines.find_engine(graph, ("onnxruntime",), None)
    weights = graph.with_suffix(".bin")
    (tmp_path / "other").mkdir()
    weights.rename(tmp_path / "other/net.bin")
    with pytest.raises(InputError, match="net.bin: is missing"):
        prebuilt_engines.find_engine(graph, (), None)
    weights.symlink_to(tmp_path / "other/net.bin")
    with pytest.raises(InputError, match="a link out of its folder"):
        prebuilt_engines.find_engine(graph, (), None)


def test_a_hostile_ir_is_refused_by_the_worker(tmp_path: Path) -> None:
    graph = ir(tmp_path)
    graph.write_text('<!DOCTYPE net [<!ENTITY a "b">]><net/>')
    made = prebuilt_engines.find_engine(graph, (), None)
    with pytest.raises(InputError, match=f"{graph}: got a DOCTYPE"):
        prebuilt_engines.admit_engine(made, ("fp32",), 60, local.DEVICE)


@pytest.mark.parametrize("given", [f"store:{KEY[:6]}", f"store:{KEY}", f"store:{KEY[:8].upper()}"])
def test_a_compile_step_of_the_store(tmp_path: Path, given: str) -> None:
    made = prebuilt_engines.find_engine(Path(given), (), stored(tmp_path))
    assert (made.runtime, made.precisions) == ("null", ("fp32",))
    assert made.files["model.json"].read_text() == "{}"
    assert prebuilt_engines.admit_engine(made, (), 60, local.DEVICE)


@pytest.mark.parametrize(
    ("given", "inputs", "more", "says"),
    [
        (KEY[:3], INPUTS, {}, "got 3 characters"),
        (compute_key(EXPORT)[:6], INPUTS, {}, "got 0 engines"),
        (compute_key(EXPORT)[:6], EXPORT, {}, "got a result that is no engine"),
        (
            KEY[:6],
            INPUTS,
            {"status": "not measured", "reason": "x"},
            "no engine there: not measured",
        ),
    ],
)
def test_what_the_store_does_not_have(
    tmp_path: Path, given: str, inputs: dict[str, Any], more: dict[str, Any], says: str
) -> None:
    store = stored(tmp_path, inputs, **more)
    with pytest.raises(InputError, match=says):
        prebuilt_engines.find_engine(Path(f"store:{given}"), (), store)


def test_a_key_that_is_not_one(tmp_path: Path) -> None:
    store = stored(tmp_path)
    stored(tmp_path, TWIN)
    with pytest.raises(InputError, match="got 2 engines, want one"):
        prebuilt_engines.find_engine(Path(f"store:{KEY[:6]}"), (), store)


def test_a_blob_that_changed(tmp_path: Path) -> None:
    store = stored(tmp_path)
    made = prebuilt_engines.find_engine(Path(f"store:{KEY[:6]}"), (), store)
    made.main.chmod(0o644)
    made.main.write_text("[]")
    with pytest.raises(InputError, match="does not verify"):
        prebuilt_engines.find_engine(Path(f"store:{KEY[:6]}"), (), store)


def test_an_engine_is_called_by_the_precision_it_was_compiled_for(tmp_path: Path) -> None:
    made = prebuilt_engines.find_engine(Path(f"store:{KEY[:6]}"), (), stored(tmp_path))
    assert prebuilt_engines.admit_engine(made, ("fp32",), 60, local.DEVICE)
    for asked in (("int8",), ("fp32", "int8")):
        with pytest.raises(InputError, match="got precision 'int8', want 'fp32': for that"):
            prebuilt_engines.admit_engine(made, asked, 60, local.DEVICE)


def test_an_engine_of_another_version(tmp_path: Path) -> None:
    made = prebuilt_engines.find_engine(
        Path(f"store:{KEY[:6]}"), (), stored(tmp_path, runtime_version="0.0")
    )
    with pytest.raises(MachineError, match="got an engine of null 0.0, want"):
        prebuilt_engines.admit_engine(made, (), 60, local.DEVICE)


@pytest.mark.parametrize(
    "bad",
    [
        {"files": 5},
        {"files": []},
        {"files": [5]},
        {"files": ["../model.json"]},
        {"files": ["other.json"]},
        {"runtime": None},
        {"status": ["ok"]},
        {"precision": 8},
        {"runtime_version": 1.0},
    ],
)
def test_an_engine_json_of_another_form(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="store:abcdef"):
        prebuilt_engines.find_engine(Path("store:abcdef"), (), stored(tmp_path, **bad))
