"""A user's ONNX file from the recipe to a bundle that verifies: quantized, or as it is with the reason."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from edgekd.bench.status import TIMED
from tests.onnx_example import classifier
from tests.onnx_example import make_model
from tests.system.conftest import Ran
from tests.system.conftest import edgekd

RECIPE = """\
name: stranger
task: float-agreement
data: {source: "arrays:samples.npz"}
student: {model: "onnx:model.onnx"}
learn: [{step: quantize}]
targets: [{runtime: onnxruntime, precision: [fp32, int8], threads: 1}]
measure: {processes_max: 6, half_width: 0.5, min_time_s: 0.02, max_time_s: 0.02, max_warmup_s: 0.05}
"""
RUNTIMES = ("onnxruntime", "openvino")
QUICK = ("processes_max=6", "min_time_s=0.02", "max_time_s=0.02", "max_warmup_s=0.05")


def make(folder: Path, model: onnx.ModelProto, *shape: int) -> Path:
    onnx.save(model, folder / "model.onnx")
    rows = np.random.default_rng(0).normal(size=(60, *shape)).astype(np.float32)
    np.savez(folder / "samples.npz", anything=rows)
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder / "recipe.yaml"


def compress(folder: Path, *more: str) -> Ran:
    return edgekd("compress", "recipe.yaml", "--store", "store", *more, folder=folder)


def quantize(folder: Path) -> Ran:
    """The same by the verb, which writes its own recipe."""
    sets = [word for each in QUICK for word in ("--set", f"measure.{each}")]
    given = ("--data", "arrays:samples.npz", "--name", "stranger", "--store", "store", *sets)
    return edgekd("quantize", "model.onnx", *given, folder=folder)


@pytest.mark.parametrize(("batch", "run"), [("n", quantize), (1, compress)])
def test_a_file_is_quantized_measured_chosen_and_shipped(
    tmp_path: Path, batch: int | str, run: Callable[[Path], Ran]
) -> None:
    make(tmp_path, classifier(batch), 3, 8, 8)
    ran = run(tmp_path)
    assert ran.code == 0, ran.stderr
    run_dir = tmp_path / "runs" / "stranger"
    result = json.loads((run_dir / "result.json").read_bytes())
    rows = {row["precision"]: row for row in result["candidates"]}
    assert rows["fp32"]["status"] in TIMED and rows["fp32"]["validation_score"] > 0.999
    assert rows["int8"]["status"] in TIMED and rows["int8"]["validation_score"] > 0.9
    exported = result["lineage"]["export-student"]["files"]["model.onnx"]
    assert exported == result["lineage"]["student"]["files"]["model.onnx"]
    shipped = (run_dir / "bundle" / "model.onnx").read_bytes()
    if rows["fp32"]["name"] == result["chosen"]:
        assert shipped == (tmp_path / "model.onnx").read_bytes()
        assert "slower" in result["why"] or "faster" in result["why"]
    page = (run_dir / "report.html").read_text()
    assert result["chosen"] in page and "<svg" in page
    names = [end.name for end in onnx.load_from_string(shipped).graph.input]
    assert names == ["x"]
    verified = edgekd("verify", str(run_dir / "bundle"))
    assert verified.code == 0, verified.stdout


def control_flow() -> onnx.ModelProto:
    def branch(op: str) -> onnx.GraphProto:
        end = helper.make_tensor_value_info("z", 1, [1, 6])
        return helper.make_graph([helper.make_node(op, ["x"], ["z"])], op, [], [end])

    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "one"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Neg")),
    ]
    one = {"one": np.array(1, np.float32)}
    return make_model(nodes, {"x": [1, 6]}, {"y": [1, 6]}, one)


def sorting() -> onnx.ModelProto:
    """What torch reads, and cannot write."""
    weights = {"w": np.eye(6, dtype=np.float32), "k": np.array([3])}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("TopK", ["m", "k"], ["y", "i"]),
    ]
    return make_model(nodes, {"x": ["batch", 6]}, {"y": ["batch", 3]}, weights)


@pytest.mark.parametrize(
    ("make_file", "why"),
    [(control_flow, "it has control flow (If)"), (sorting, "has no ONNX form")],
)
def test_what_cannot_be_quantized_is_shipped_as_it_is_and_the_choice_says_why(
    tmp_path: Path, make_file: Callable[[], onnx.ModelProto], why: str
) -> None:
    make(tmp_path, make_file(), 6)
    ran = compress(tmp_path)
    assert ran.code == 0, ran.stderr
    result = json.loads((tmp_path / "runs" / "stranger" / "result.json").read_bytes())
    assert result["chosen"] == "onnxruntime-fp32-1t"
    assert "there is no int8 of it: " in result["why"] and why in result["why"]


def test_int8_alone_is_refused_then(tmp_path: Path) -> None:
    make(tmp_path, control_flow(), 6)
    ran = compress(tmp_path, "--set", "targets.0.precision=[int8]")
    assert ran.code == 2 and "targets.0.precision: got int8" in ran.stderr, ran.stderr
    assert "control flow (If)" in ran.stderr


def test_a_file_with_states_is_called_sample_by_sample(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["state", "input"], ["next"]),
        helper.make_node("ReduceSum", ["next", "axes"], ["output"], keepdims=0),
    ]
    ends = {"input": [1, 4], "state": [2, 1, 4]}, {"output": [1], "next": [2, 1, 4]}
    model = make_model(nodes, *ends, {"axes": np.array([0, 2])})
    make(tmp_path, model, 1)
    random = np.random.default_rng(0)
    rows = {name: random.normal(size=(40, *shape)) for name, shape in ends[0].items()}
    np.savez(tmp_path / "samples.npz", **rows)
    ran = compress(tmp_path)
    assert ran.code == 0, ran.stderr
    result = json.loads((tmp_path / "runs" / "stranger" / "result.json").read_bytes())
    assert result["chosen"] == "onnxruntime-fp32-1t"
    assert "first axes of its inputs differ" in result["why"]
    bundle = tmp_path / "runs" / "stranger" / "bundle"
    assert edgekd("verify", str(bundle)).code == 0


def test_labels_and_an_input_of_another_name(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    rows = random.integers(0, 60, (90, 3, 4))
    rows[np.arange(90), labels] += 150
    np.savez(tmp_path / "rows.npz", images=rows[..., None].astype(np.uint8), labels=labels)
    weight = np.kron(np.eye(3), np.ones((4, 1))).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["images"]),
        helper.make_node("MatMul", ["images", "w"], ["out"]),
    ]
    model = make_model(nodes, {"x": ["n", 1, 3, 4]}, {"out": ["n", 3]}, {"w": weight})
    onnx.save(model, tmp_path / "model.onnx")
    sets = [word for each in QUICK for word in ("--set", f"measure.{each}")]
    both = ", ".join(
        f"{{runtime: {runtime}, precision: [fp32, int8], threads: 1}}" for runtime in RUNTIMES
    )
    engines = ("--set", f"targets=[{both}]")
    given = ("--data", "npz:rows.npz", "--name", "named", "--store", "store", *engines, *sets)
    ran = edgekd("quantize", "model.onnx", *given, folder=tmp_path)
    assert ran.code == 0, ran.stderr
    assert "its x is called images in what is deployed" in ran.stderr
    run_dir = tmp_path / "runs" / "named"
    result = json.loads((run_dir / "result.json").read_bytes())
    rows_of = {(row["runtime"], row["precision"]): row for row in result["candidates"]}
    assert set(rows_of) == set(itertools.product(RUNTIMES, ("fp32", "int8")))
    assert all(row["status"] in TIMED for row in rows_of.values())
    assert all(row["validation_score"] == 1 for row in rows_of.values())
    assert edgekd("verify", str(run_dir)).code == 0
    np.save(tmp_path / "three.npy", rows[:3, ..., None].astype(np.uint8))
    told = edgekd("predict", str(run_dir), str(tmp_path / "three.npy"), "--json")
    assert [one["answers"][0]["text"] for one in json.loads(told.stdout)] == ["0", "1", "2"]
