"""An attention written as one operator gives the numbers that were trained, under masks and between quantizers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd import interface
from edgekd.learn.export import to_onnx
from edgekd.learn.quant import attention
from edgekd.learn.quant import blocks
from edgekd.learn.quant import emit
from edgekd.learn.quant import insertion
from edgekd.learn.quant import onnx_operators
from edgekd.learn.quant import post_training
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES
from edgekd.runtimes import openvino
from edgekd.runtimes import ort

WIDTH, HEADS = 16, 2
SIZES = (interface.BATCH, "length")
ENDS = interface.Interface(
    (
        interface.Tensor("x", "float32", (*SIZES, WIDTH)),
        interface.Tensor("mask", "int64", SIZES, "mask"),
    ),
    (interface.Tensor("y", "float32", (*SIZES, WIDTH)),),
    (interface.Axis(interface.BATCH), interface.Axis("length", 1, 8, 32)),
)


class Block(nn.Module):
    """Attention as transformers write it: heads split by a view, scores scaled, masked by an addition."""

    def __init__(self, own_scale: bool = False) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.dropout, self.own_scale = nn.Dropout(0.1), own_scale

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            layer(x).view(*x.shape[:2], -1, WIDTH // HEADS).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = torch.matmul(query, key.transpose(2, 3)) * 0.3
        if self.own_scale:  # by each query: no operator's scale
            scores = scores * query.mean(-1, keepdim=True)
        scores = scores + torch.where(mask[:, None, None, :] > 0, 0.0, -1e9)
        weights = self.dropout(torch.softmax(scores, -1))
        mixed = torch.matmul(weights, value).transpose(1, 2).contiguous()
        return self.out(mixed.reshape(*x.shape[:2], -1))


def inputs(count: int, length: int) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(length)
    mask = torch.ones(count, length, dtype=torch.int64)
    mask[1:, length // 2 :] = 0
    return torch.randn(count, length, WIDTH, generator=chance), mask


def quantized(attention_form: blocks.Form = "float", **more: bool) -> post_training.QuantizedStart:
    torch.manual_seed(0)
    batches = [inputs(8, 8)]
    forms = blocks.resolve_forms({"attention-products": attention_form})
    return post_training.quantize(
        Block(**more), ENDS, NUMERICS["asymmetric"], lambda: batches, method="min-max", forms=forms
    )


def count_fused(module: torch.fx.GraphModule) -> int:
    return sum(node.target is onnx_operators.attention for node in module.graph.nodes)


def test_it_answers_as_was_trained_at_any_length_and_under_a_mask(tmp_path: Path) -> None:
    started = quantized()
    written = emit.prepare_export(started.model, PROFILES["x86"])
    assert count_fused(written) == 1 and emit.least_opset(written) == attention.OPSET
    path = to_onnx.write(written, tmp_path / "model.onnx", ENDS, opset=emit.least_opset(written))
    files = {"model.onnx": path}
    kernels = {name.split()[0]: count for name, count in ort.kernels(files, "int8").items()}
    assert kernels["Attention"] == 1 and kernels["MatMulIntegerToFloat"] == 4
    assert "Softmax" not in kernels and "Transpose" not in kernels
    session = ort.load(files, "int8", 1)
    site = max(one.step() for one in insertion.find_activation_quantizers(started.model).values())
    for length in (1, 5, 32):
        x, mask = inputs(3, length)
        (got,) = session.run({"x": x.numpy(), "mask": mask.numpy()})
        with torch.no_grad():
            want = started.model(x, mask).numpy()
        np.testing.assert_allclose(got, want, atol=site)


@pytest.mark.parametrize("form", ["float", "int8"])
def test_openvino_rounds_what_an_attention_gives_behind_its_heads(
    form: blocks.Form, tmp_path: Path
) -> None:
    """There its own attention brings heads together before anything is rounded; codes it would move one by one."""
    started = quantized(form)
    written = emit.prepare_export(started.model, PROFILES["openvino"])
    path = to_onnx.write(written, tmp_path / "model.onnx", ENDS, opset=20)
    makers = {name: node for node in onnx.load(path).graph.node for name in node.output}
    (last,) = (node for node in makers.values() if node.op_type == "MatMul" and "out" in node.name)
    kinds, value = [], last.input[0]
    while value in makers and len(kinds) < 5:
        kinds.append(makers[value].op_type)
        value = makers[value].input[0]
    assert kinds == ["DequantizeLinear", "QuantizeLinear", "Reshape", "Transpose", "MatMul"]
    x, mask = inputs(3, 5)
    built = openvino.build(path, tmp_path, "int8")
    if form == "float":
        assert not {"Transpose u8", "Transpose i8"} & openvino.kernels(built, "int8").keys()
    (got,) = openvino.load(built, "int8", 1).run({"x": x.numpy(), "mask": mask.numpy()})
    site = max(one.step() for one in insertion.find_activation_quantizers(started.model).values())
    with torch.no_grad():
        np.testing.assert_allclose(got, started.model(x, mask).numpy(), atol=site)


@pytest.mark.parametrize("why", ["int8 products", "another engine", "another scale"])
def test_what_is_no_such_attention_stays_as_it_is(why: str) -> None:
    form: blocks.Form = "int8" if why == "int8 products" else "float"
    started = quantized(form, own_scale=why == "another scale")
    profile = PROFILES["openvino" if why == "another engine" else "x86"]
    written = emit.prepare_export(started.model, profile)
    assert count_fused(written) == 0 and emit.least_opset(written) == 0
