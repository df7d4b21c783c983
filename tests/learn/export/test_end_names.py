"""An output that is called as the exporter calls something inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgekd.interface import BATCH
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.export import to_onnx


@pytest.mark.parametrize("ends", [("x", "linear"), ("relu", "y"), ("linear", "relu"), ("x", "y")])
def test_ends_may_be_called_as_anything_inside(ends: tuple[str, str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(3, 2)).eval()
    interface = Interface(
        (Tensor(ends[0], "float32", (BATCH, 4)),), (Tensor(ends[1], "float32", (BATCH, 2)),)
    )
    path = to_onnx.write(model, tmp_path / "a.onnx", interface)
    graph = onnx.load(path).graph
    assert (graph.input[0].name, graph.output[0].name) == ends
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    (got,) = onnxruntime.InferenceSession(str(path)).run(None, {ends[0]: x})
    with torch.no_grad():
        np.testing.assert_allclose(got, model(torch.from_numpy(x)).numpy(), 1e-5, 1e-6)
