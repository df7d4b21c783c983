"""A user's file as a model: imported where that answers alike, else the file itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx as onnx_package
import pytest
import torch
from onnx import helper

from edgekd.errors import InputError
from edgekd.interface import BATCH
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.models import onnx
from edgekd.learn.onnx_import.network import OnnxNetwork
from edgekd.learn.onnx_import.session import OnnxFile
from tests.onnx_example import classifier
from tests.onnx_example import make_model

ENDS = Interface(
    (Tensor("x", "float32", (BATCH, 3, 8, 8)),),
    (Tensor("probabilities", "float32", (BATCH, 3)),),
)


def build(path: Path, ends: Interface = ENDS) -> torch.nn.Module:
    return onnx.onnx(interface=ends, reference=str(path))


@pytest.mark.parametrize("batch", ["n", 1])
def test_an_import_that_answers_alike_is_taken(tmp_path: Path, batch: int | str) -> None:
    onnx_package.save(classifier(batch), tmp_path / "a.onnx")
    assert isinstance(build(tmp_path / "a.onnx"), OnnxNetwork)


def test_one_that_answers_otherwise_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onnx_package.save(classifier(), tmp_path / "a.onnx")
    convert = onnx.convert_model

    def spoil(proto: onnx_package.ModelProto) -> object:
        found = convert(proto)
        name = next(iter(found.weights))
        return found._replace(weights={**found.weights, name: found.weights[name] * 1.1})

    monkeypatch.setattr(onnx, "convert_model", spoil)
    model = build(tmp_path / "a.onnx")
    assert isinstance(model, OnnxFile) and "answers otherwise than ONNX Runtime" in model.obstacle


def test_control_flow_stays_in_its_file_and_survives_a_blueprint(tmp_path: Path) -> None:
    def branch(op: str) -> onnx_package.GraphProto:
        end = helper.make_tensor_value_info("z", 1, [BATCH, 2])
        return helper.make_graph([helper.make_node(op, ["x"], ["z"])], op, [], [end])

    nodes = [
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "zero"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch("Relu"), else_branch=branch("Neg")),
    ]
    zero = {"zero": np.array(0, np.float32)}
    path = tmp_path / "a.onnx"
    onnx_package.save(make_model(nodes, {"x": [BATCH, 2]}, {"y": [BATCH, 2]}, zero), path)
    ends = Interface((Tensor("x", "float32", (BATCH, 2)),), (Tensor("y", "float32", (BATCH, 2)),))
    plan = Blueprint(builder="onnx", arguments={"reference": str(path)}, interface=ends)
    model = blueprint.build(plan)
    assert "control flow (If)" in model.obstacle  # type: ignore[operator]
    made = blueprint.save(model, plan, tmp_path)
    path.unlink()
    again = blueprint.load(made["blueprint.json"], made["weights.safetensors"])
    x = torch.tensor([[1.0, -2.0]])
    assert again(x).tolist() == [[1.0, 0.0]] and again(-x.abs()).tolist() == [[1.0, 2.0]]


def test_weights_beside_the_file_come_with_it_and_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    words = {"save_as_external_data": True, "location": "a.data", "size_threshold": 0}
    onnx_package.save(classifier(), path, **words)
    assert isinstance(build(path), OnnxNetwork)
    (tmp_path / "a.data").unlink()
    with pytest.raises(InputError, match="want a file in the model's own folder"):
        build(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.onnx"):
        build(tmp_path / "none.onnx")


@pytest.mark.parametrize(("share", "is_alike"), [(0.001, True), (100, False)])
def test_a_probability_that_is_nearly_0_is_compared_by_what_engines_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, is_alike: bool
) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "axes"], ["row"]),
        helper.make_node("Mul", ["row", "factors"], ["wide"]),
        helper.make_node("Add", ["wide", "bias"], ["shifted"]),
        helper.make_node("Sigmoid", ["shifted"], ["probabilities"]),
    ]
    weights = {
        "axes": np.array([1]),
        "factors": np.ones(3, np.float32),
        "bias": np.full(3, -9, np.float32),
    }
    ends = {"x": ["n", 3, 8, 8]}, {"probabilities": ["n", 3]}
    onnx_package.save(make_model(nodes, *ends, weights), tmp_path / "a.onnx")
    convert = onnx.convert_model

    def spoil(proto: onnx_package.ModelProto) -> object:
        found = convert(proto)
        bias = found.weights["bias"] + np.float32(np.log1p(2 * share))
        return found._replace(weights={**found.weights, "bias": bias})

    monkeypatch.setattr(onnx, "convert_model", spoil)
    model = build(tmp_path / "a.onnx")
    assert isinstance(model, OnnxFile) == (not is_alike), getattr(model, "obstacle", "")


def spoil_weight(monkeypatch: pytest.MonkeyPatch, name: str, factor: float) -> None:
    convert = onnx.convert_model

    def spoil(proto: onnx_package.ModelProto) -> object:
        found = convert(proto)
        return found._replace(weights={**found.weights, name: found.weights[name] * factor})

    monkeypatch.setattr(onnx, "convert_model", spoil)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("factor", [1, 1.1])
def test_scores_beside_boxes_are_compared_by_their_own_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axis: int, factor: float
) -> None:
    nodes = [
        helper.make_node("Mul", ["x", "large"], ["boxes"]),
        helper.make_node("Mul", ["x", "small"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["y"], axis=axis),
    ]
    weights = {"large": np.array([640], np.float32), "small": np.full((2, 2), 0.5, np.float32)}
    sizes = [2, 2]
    sizes[axis - 1] = 4
    ends = {"x": ["n", 2, 2]}, {"y": ["n", *sizes]}
    onnx_package.save(make_model(nodes, *ends, weights), tmp_path / "a.onnx")
    spoil_weight(monkeypatch, "small", factor)
    interface = Interface(
        (Tensor("x", "float32", (BATCH, 2, 2)),), (Tensor("y", "float32", (BATCH, *sizes)),)
    )
    assert isinstance(build(tmp_path / "a.onnx", interface), OnnxFile) == (factor != 1)


def test_an_import_is_compared_at_another_free_size_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only the second size shows: a weight that the usual one multiplies by nothing."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], start=2),
        helper.make_node("Sub", ["shape", "usual"], ["more"]),
        helper.make_node("Cast", ["more"], ["count"], to=1),
        helper.make_node("Mul", ["count", "w"], ["shift"]),
        helper.make_node("Add", ["x", "shift"], ["y"]),
    ]
    weights = {"usual": np.array([4]), "w": np.full((2, 1), 3, np.float32)}
    ends = {"x": ["n", 2, "length"]}, {"y": ["n", 2, "length"]}
    onnx_package.save(make_model(nodes, *ends, weights), tmp_path / "a.onnx")
    tensors = [(Tensor(name, "float32", (BATCH, 2, 4)),) for name in ("x", "y")]
    assert isinstance(build(tmp_path / "a.onnx", Interface(*tensors)), OnnxNetwork)
    spoil_weight(monkeypatch, "w", 1.1)
    model = build(tmp_path / "a.onnx", Interface(*tensors))
    assert isinstance(model, OnnxFile) and "answers otherwise" in model.obstacle
