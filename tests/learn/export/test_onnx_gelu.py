"""A GELU is one kernel in ONNX Runtime, and the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor
from torch import nn

from edgekd import interface
from edgekd.learn.export import onnx_gelu
from edgekd.learn.export import to_onnx
from edgekd.runtimes import ort

WIDTH = 16
ENDS = interface.Interface(
    (interface.Tensor("x", "float32", (interface.BATCH, 4, WIDTH)),),
    (interface.Tensor("y", "float32", (interface.BATCH, 4, WIDTH)),),
)


class Feedforward(nn.Module):
    """Linear layer, GELU, linear layer; added to a layer norm's output, and a layer norm of that."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)
        self.before, self.after = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = self.before(x)
        return self.after(x + self.outer(nn.functional.gelu(self.inner(x))))


def test_one_kernel_with_its_bias_and_none_that_is_slower(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Feedforward().eval()
    path = to_onnx.write(model, tmp_path / "model.onnx", ENDS)
    files = {"model.onnx": path}
    kernels = {name.split()[0] for name in ort.kernels(files, "fp32")}
    assert "BiasGelu" in kernels and "Erf" not in kernels
    assert "SkipLayerNormalization" not in kernels
    x = torch.randn(3, 4, WIDTH, generator=torch.Generator().manual_seed(1))
    (got,) = ort.load(files, "fp32", 1).run({"x": x.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(got, model(x).numpy(), rtol=1e-5, atol=1e-5)


def test_what_is_no_gelu_stays() -> None:
    """Half of a sum that is not one plus an error function; half of a GELU's sum that two read."""
    half = onnx.numpy_helper.from_array(np.array(0.5, np.float32), "half")
    node = onnx.helper.make_node
    plain = [
        node("Add", ["x", "x"], ["s"]),
        node("Mul", ["half", "s"], ["h"]),
        node("Mul", ["x", "h"], ["y"]),
    ]
    shared = [
        node("Div", ["x", "c"], ["d"]),
        node("Erf", ["d"], ["e"]),
        node("Add", ["e", "one"], ["s"]),
        node("Mul", ["half", "s"], ["h"]),
        node("Mul", ["x", "h"], ["y"]),
        node("Mul", ["h", "h"], ["z"]),
    ]
    for nodes in (plain, shared):
        graph = onnx.helper.make_graph(nodes, "g", [], [], [half])
        before = graph.SerializeToString()
        onnx_gelu.order_gelus(graph)
        assert graph.SerializeToString() == before
