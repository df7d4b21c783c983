"""The small graphs: what ONNX Runtime makes of them has the shapes torch gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgekd.learn.lowrank import chain
from edgekd.learn.lowrank import layer_graph
from edgekd.learn.lowrank.chain import PlainLayer
from edgekd.runtimes import find_runtime


@pytest.mark.parametrize(
    ("part", "structure", "ranks", "shape", "ops"),
    [
        (
            PlainLayer(8, 12, True, (3, 3), (2, 1), (1, 0), (1, 2)),
            "reshape",
            (4,),
            (8, 9, 9),
            "Conv Conv",
        ),
        (
            PlainLayer(8, 12, False, (2, 3), padding="valid"),
            "spatial",
            (4,),
            (8, 9, 9),
            "Conv Conv",
        ),
        (PlainLayer(8, 12, True, (3, 3)), "tucker2", (4, 6), (8, 9, 9), "Conv Conv Conv"),
        (PlainLayer(8, 12, True), "svd", (4,), (8,), "Gemm Gemm"),
        (PlainLayer(8, 12, True), "svd", (4,), (5, 8), "MatMul MatMul Add"),
    ],
)
def test_a_chain_runs(
    part: PlainLayer,
    structure: str,
    ranks: tuple[int, ...],
    shape: tuple[int, ...],
    ops: str,
    tmp_path: Path,
) -> None:
    parts = chain.split_layer(part, structure, ranks)
    path = tmp_path / "chain.onnx"
    path.write_bytes(layer_graph.build_graph(parts, shape))
    model = onnx.load(path)
    assert " ".join(node.op_type for node in model.graph.node) == ops
    session = find_runtime("onnxruntime").load({"model.onnx": path}, "fp32", 1)
    x = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    (got,) = session.run({"x": x})
    lowered = chain.build_chain(parts)
    held = {w.name: torch.tensor(onnx.numpy_helper.to_array(w)) for w in model.graph.initializer}
    with torch.no_grad():
        for number, layer in enumerate(lowered):
            weight = held[f"y{number}.weight"]
            layer.weight.copy_(weight.T if ops.startswith("MatMul") else weight)
            if layer.bias is not None:
                layer.bias.copy_(held[f"y{number}.bias"])
        want = lowered(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, want, atol=1e-4)
    assert layer_graph.build_graph(parts, shape) == path.read_bytes()
