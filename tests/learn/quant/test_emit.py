"""The written graph computes what the fake-quantized model does, in int8, with int8 weights in it."""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from edgekd.learn.export import to_onnx
from edgekd.learn.quant import emit
from edgekd.learn.quant import insertion
from edgekd.learn.quant import post_training
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES
from edgekd.runtimes import openvino
from edgekd.runtimes import ort
from tests import quant_example as example

INT8_ONLY = {"QLinearConv", "QGemm", "QLinearAdd", "QLinearMul", "QLinearGlobalAveragePool"}
KINDS = (example.Block, example.Swish, example.Tokens)


def written(model: torch.fx.GraphModule, profile: str, path: Path, opset: int = 18) -> Path:
    ready = emit.prepare_export(model, PROFILES[profile])
    to_onnx.write(ready, path, example.INTERFACE, opset=opset)
    return path


@functools.cache
def _exported(kind: type[nn.Module], profile: str) -> bytes:
    """An ONNX file, written once for all tests."""
    model = example.quantized(kind, PROFILES[profile].numerics).model
    with tempfile.TemporaryDirectory() as folder:
        return written(model, profile, Path(folder) / "m.onnx").read_bytes()


def exported(kind: type[nn.Module], profile: str, path: Path) -> Path:
    path.write_bytes(_exported(kind, profile))
    return path


def answers(path: Path, images: torch.Tensor) -> np.ndarray:
    session = ort.load({"model.onnx": path}, "fp32", 1)
    return session.run({session.inputs[0].name: images.numpy()})[0]


@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("kind", KINDS)
def test_an_engine_answers_as_torch_does(
    kind: type[nn.Module], profile: str, tmp_path: Path
) -> None:
    model = example.quantized(kind, PROFILES[profile].numerics).model
    path = exported(kind, profile, tmp_path / "m.onnx")
    images = example.images(64, seed=9)
    with torch.no_grad():
        want = emit.fake_quantize(model, PROFILES[profile])(images).numpy()
    got = answers(path, images)
    step = emit.logit_steps(model)[0]
    assert np.sqrt(np.square(got - want).mean()) < 2 * step
    assert (got.argmax(1) == want.argmax(1)).mean() > 0.93  # random weights: near ties
    held = {w.name: w.data_type for w in onnx.load(path).graph.initializer}
    codes = [kind for name, kind in held.items() if name.endswith(".codes")]
    assert codes and set(codes) == {TensorProto.INT8}
    assert not any(name.endswith("weight") for name in held if "norm" not in name)


@pytest.mark.parametrize("kind", [example.Block, example.Swish])
def test_on_x86_no_float_operator_is_left_inside(kind: type[nn.Module], tmp_path: Path) -> None:
    path = exported(kind, "x86", tmp_path / "m.onnx")
    counted = Counter(
        {name.split()[0]: n for name, n in ort.kernels({"model.onnx": path}, "fp32").items()}
    )
    layers = 3 if kind is example.Block else 4
    assert counted["QLinearConv"] + counted["QGemm"] == layers
    moving = {"QuantizeLinear", "DequantizeLinear", "Reshape", "Transpose", "Squeeze", "Flatten"}
    assert set(counted) - INT8_ONLY - moving <= {"Add"}  # the bias of the logits
    assert counted["Add"] <= 1


def test_a_universal_engine_finds_zero_points_of_zero_and_float_biases(tmp_path: Path) -> None:
    graph = onnx.load(exported(example.Block, "tensorrt", tmp_path / "m.onnx")).graph
    held = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert held[node.input[2]].dtype == np.int8 and not held[node.input[2]].any()
        if node.op_type == "Conv":
            assert held[node.input[2]].dtype == np.float32


class Idle(example.Block):
    """Dropout between rounded values, of which no exported graph holds a trace."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first = nn.functional.dropout(self.relu1(self.bn1(self.conv1(images))), 0.1, self.training)
        return self.fc(self.pool(self.relu2(self.bn2(self.conv2(first)))).flatten(1))


@pytest.mark.parametrize("kind", [Idle, example.Block, example.Tokens])
@pytest.mark.parametrize("profile", ["x86", "openvino"])
def test_nothing_is_rounded_twice_in_a_row(
    kind: type[nn.Module], profile: str, tmp_path: Path
) -> None:
    graph = onnx.load(exported(kind, profile, tmp_path / "m.onnx")).graph
    makers = {name: node for node in graph.node for name in node.output}
    moving = {"Transpose", "Reshape", "Flatten"} if profile == "openvino" else set()
    for node in graph.node:
        maker = makers.get(node.input[0]) if node.op_type == "QuantizeLinear" else None
        while maker is not None and maker.op_type in moving:
            maker = makers.get(maker.input[0])
        assert maker is None or maker.op_type != "DequantizeLinear"


@pytest.mark.parametrize("kind", KINDS)
def test_openvino_reads_weights_as_it_multiplies_by_them(
    kind: type[nn.Module], tmp_path: Path
) -> None:
    """Stated zero-points that several layers share keep it from int8 (the convolution of patches and linear
    layers with as many outputs), and weights [I, O] are turned at every run."""
    path = exported(kind, "openvino", tmp_path / "m.onnx")
    graph = onnx.load(path).graph
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0].endswith(".codes"):
            assert len(node.input) == 2
            (axis,) = [one.i for one in node.attribute if one.name == "axis"]
            assert axis == 0
    kernels = openvino.kernels(openvino.build(path, tmp_path, "int8"), "int8")
    products = {name for name in kernels if name.split()[0] in ("FullyConnected", "Convolution")}
    assert {name.split()[1] for name in products} <= {"u8", "i8"}


def test_signed_and_unsigned_profiles_of_one_scheme_are_one_function(tmp_path: Path) -> None:
    model, images = example.quantized().model, example.images(64, seed=9)
    got = {
        profile: answers(exported(example.Block, profile, tmp_path / f"{profile}.onnx"), images)
        for profile in ("x86", "arm")
    }
    np.testing.assert_allclose(got["x86"], got["arm"], atol=3 * emit.logit_steps(model)[0])


def test_four_bits_take_half_the_bytes_and_compute_the_same(tmp_path: Path) -> None:
    started = post_training.quantize(
        example.made(),
        example.INTERFACE,
        NUMERICS["asymmetric"],
        example.BATCHES,
        every_weight_bits=4,
    )
    path = written(started.model, "x86", tmp_path / "m.onnx", opset=21)
    stored = [w for w in onnx.load(path).graph.initializer if w.data_type == TensorProto.INT4]
    assert len(stored) == 3
    assert all(len(w.raw_data) == -(-np.prod(w.dims) // 2) for w in stored)
    images = example.images(64, seed=9)
    with torch.no_grad():
        want = started.model(images).numpy()
    step = emit.logit_steps(started.model)[0]
    assert np.abs(answers(path, images) - want).max() < 4 * step
    kernels = ort.kernels({"model.onnx": path}, "fp32")
    assert kernels["QLinearConv u8"] == 2


def test_a_logit_step_by_hand() -> None:
    model = example.quantized().model
    largest = float(model.get_parameter("fc.weight").detach().abs().max())
    site = model.get_submodule("sites.pool")
    assert emit.logit_steps(model)[0] == pytest.approx(largest * site.step())  # type: ignore[operator]


@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize("kind", KINDS)
def test_no_quantizer_is_held_that_nothing_passes_through(
    kind: type[nn.Module], profile: str
) -> None:
    model = example.quantized(kind, PROFILES[profile].numerics).model
    for written in (
        emit.fake_quantize(model, PROFILES[profile]),
        emit.prepare_export(model, PROFILES[profile]),
    ):
        called = {node.target for node in written.graph.nodes if node.op == "call_module"}
        held = {
            name
            for name, _ in written.named_modules()
            if name.startswith((f"{insertion.SITES}.", f"{insertion.WEIGHTS}."))
        }
        assert held == called


def test_what_has_no_quantizers_is_refused() -> None:
    with pytest.raises(ValueError, match="without quantizers"):
        emit.prepare_export(example.made(), PROFILES["x86"])
