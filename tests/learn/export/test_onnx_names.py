"""Nodes carry the path of the module they came from."""

from __future__ import annotations

from pathlib import Path

import onnx

from edgekd.learn.export import to_onnx
from edgekd.learn.quant import emit
from edgekd.profile import PROFILES
from tests import quant_example as example


def names(path: Path) -> list[str]:
    return [node.name for node in onnx.load(path).graph.node]


def test_a_float_model(tmp_path: Path) -> None:
    to_onnx.write(example.made(), tmp_path / "m.onnx", example.INTERFACE, opset=18)
    found = names(tmp_path / "m.onnx")
    assert {"conv1/Conv", "relu1/Relu", "conv2/Conv", "pool/GlobalAveragePool", "fc/Gemm"} <= set(
        found
    )
    assert len(set(found)) == len(found)


def test_a_quantized_model_names_its_layers_and_roundings_alike(tmp_path: Path) -> None:
    ready = emit.prepare_export(example.quantized().model, PROFILES["x86"])
    to_onnx.write(ready, tmp_path / "m.onnx", example.INTERFACE, opset=18)
    found = names(tmp_path / "m.onnx")
    wanted = {"conv1/Conv", "conv2/Conv", "fc/Gemm", "relu1/QuantizeLinear", "relu1/Relu"}
    assert wanted <= set(found) and len(set(found)) == len(found)
    assert not any(name.startswith(("sites", "weights")) for name in found)
