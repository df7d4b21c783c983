"""A small classifier of texts with two inputs and two outputs, whose answers numpy knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

VOCABULARY, WIDTH, CLASSES = 11, 4, 3
SIZES = ("batch", "tokens")


def weights() -> dict[str, NDArray[np.float32]]:
    """Of one embedding and one linear layer."""
    random = np.random.default_rng(5)
    shapes = {"table": (VOCABULARY, WIDTH), "v": (WIDTH, CLASSES)}
    return {n: random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}


def write_onnx(
    path: Path,
    sizes: tuple[int | str, ...] = SIZES,
    *,
    logits: str = "logits",
    scale: float = 1.0,
    positions: int = 0,
) -> Path:
    """``text`` and ``text_mask`` [batch, tokens] to ``logits`` [batch, 3], of the mean over the tokens that count,
    and ``states`` [batch, tokens, 4], their embeddings."""
    held: dict[str, Any] = {**weights(), "axes": np.asarray([1]), "last": np.asarray([2])}
    held["v"] = held["v"] * np.float32(scale)
    first = [helper.make_node("Gather", ["table", "text"], ["states"], axis=0)]
    if positions:  # added to so many tokens, and to no other number of them
        held["positions"] = np.ones((positions, WIDTH), np.float32)
        first = [
            helper.make_node("Gather", ["table", "text"], ["embedded"], axis=0),
            helper.make_node("Add", ["embedded", "positions"], ["states"]),
        ]
    nodes = [
        *first,
        helper.make_node("Cast", ["text_mask"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["counts", "last"], ["wide"]),
        helper.make_node("Mul", ["states", "wide"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axes"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["counts", "axes"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("MatMul", ["mean", "v"], [logits]),
    ]
    batch, tokens = sizes
    graph = helper.make_graph(
        nodes,
        "text",
        [
            helper.make_tensor_value_info("text", TensorProto.INT64, [batch, tokens]),
            helper.make_tensor_value_info("text_mask", TensorProto.INT64, [batch, tokens]),
        ],
        [
            helper.make_tensor_value_info(logits, TensorProto.FLOAT, [batch, CLASSES]),
            helper.make_tensor_value_info("states", TensorProto.FLOAT, [batch, tokens, WIDTH]),
        ],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return path


def inputs(count: int, tokens: int, seed: int = 0) -> dict[str, NDArray[np.int64]]:
    """Ids, and masks of which each row counts one token or more from its start."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, tokens + 1, (count, 1))
    mask = (np.arange(tokens) < lengths).astype(np.int64)
    return {"text": random.integers(0, VOCABULARY, (count, tokens)) * mask, "text_mask": mask}


def answers(feeds: dict[str, Any]) -> dict[str, NDArray[np.float64]]:
    """What `write_onnx`'s net says, in float64 with numpy."""
    held = {name: value.astype(np.float64) for name, value in weights().items()}
    states = held["table"][feeds["text"]]
    mask = feeds["text_mask"][..., None]
    return {"logits": (states * mask).sum(1) / mask.sum(1) @ held["v"], "states": states}
