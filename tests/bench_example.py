"""Small engines for tests: an ONNX net whose answers numpy knows, and models that only pretend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd.bench.engine import Engine

CHANNELS, SIDE, CLASSES = 3, 8, 10


def weights() -> dict[str, NDArray[np.float32]]:
    """Of one 1x1 convolution and one linear layer."""
    random = np.random.default_rng(7)
    shapes = {"w": (16, CHANNELS, 1, 1), "b": (16,), "v": (16, CLASSES), "c": (CLASSES,)}
    return {n: random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}


def write_onnx(path: Path, batch: int | str = "N", output: str = "y", **more: Any) -> Path:
    """Conv 1x1, Relu, mean over the pixels, linear; `more` goes to the first node."""
    held = weights()
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["h"], **more),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Gemm", ["f", "v", "c"], [output]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, CHANNELS, SIDE, SIDE])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def answers(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """What `write_onnx`'s net says of [N, C, H, W], in float64 with numpy."""
    held = {name: value.astype(np.float64) for name, value in weights().items()}
    hidden = np.einsum("oc,nchw->nohw", held["w"][:, :, 0, 0], x) + held["b"][:, None, None]
    return np.maximum(hidden, 0).mean((2, 3)) @ held["v"] + held["c"]


def inputs(count: int) -> NDArray[np.float32]:
    """Standard normal [count, C, H, W]."""
    shape = (count, CHANNELS, SIDE, SIDE)
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def null_engine(folder: Path, **says: Any) -> Engine:
    """An engine that sleeps, touches memory or fails as `says` (see `edgekd.runtimes.null`)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.json"
    path.write_text(json.dumps(says))
    return Engine("null", "fp32", 1, {"model.json": path})


def latency_spec(engine: Engine, **more: Any) -> dict[str, Any]:
    """What a latency or memory worker is told, with short windows."""
    return {
        **engine.spec(),
        "inputs": None,
        "batch": 1,
        "seed": 0,
        "warm_up": {"window_ns": 2_000_000, "max_ns": 50_000_000},
        "steady": {"min_ns": 10_000_000, "max_ns": 20_000_000},
        **more,
    }
