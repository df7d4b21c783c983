"""ONNX graphs made for tests, and what ONNX Runtime answers."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx import numpy_helper

Array = np.ndarray[Any, Any]


def make_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[Any]],
    outputs: Mapping[str, Sequence[Any]],
    weights: Mapping[str, Array] = {},
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of float32 ends."""
    ends = [
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in each.items()]
        for each in (inputs, outputs)
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "g", *ends, tensors)
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def run_model(model: onnx.ModelProto | Path, *inputs: Array) -> list[Array]:
    """ONNX Runtime's answers, its graph as it stands."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    data = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [end.name for end in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs, strict=True))))


def classifier(batch: int | str = "batch", opset: int = 13) -> onnx.ModelProto:
    """[batch, 3, 8, 8] to three probabilities, as exporters write it: a scaled convolution, a hard swish in pieces, a
    norm in pieces, products with matrices."""
    random = np.random.default_rng(0)

    def draw(*sizes: int) -> Array:
        return random.normal(0, 0.4, sizes).astype(np.float32)

    numbers = {"three": 3.0, "zero": 0.0, "six": 6.0, "two": 2.0, "epsilon": 1e-5}
    weights = {name: np.array(value, np.float32) for name, value in numbers.items()}
    weights |= {"kernel": draw(6, 3, 3, 3), "factor": np.array([1.7], np.float32)}
    weights |= {"shift": draw(1, 6, 1, 1), "matrix": draw(6, 8), "row": draw(8)}
    weights |= {"scale": draw(8), "bias": draw(8), "out": draw(3, 8), "last": draw(3)}
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "kernel"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Mul", ["factor", "c"], ["m"]),
        node("Add", ["m", "shift"], ["a"]),
        node("Add", ["a", "three"], ["a3"]),
        node("Clip", ["a3", "zero", "six"], ["clip"]),
        node("Mul", ["a", "clip"], ["am"]),
        node("Div", ["am", "six"], ["swish"]),
        node("GlobalAveragePool", ["swish"], ["pool"]),
        node("Flatten", ["pool"], ["flat"]),
        node("MatMul", ["flat", "matrix"], ["product"]),
        node("Add", ["product", "row"], ["t"]),
        node("ReduceMean", ["t"], ["mean"], axes=[-1]),
        node("Sub", ["t", "mean"], ["centred"]),
        node("Pow", ["centred", "two"], ["square"]),
        node("ReduceMean", ["square"], ["variance"], axes=[-1]),
        node("Add", ["variance", "epsilon"], ["added"]),
        node("Sqrt", ["added"], ["root"]),
        node("Div", ["centred", "root"], ["divided"]),
        node("Mul", ["divided", "scale"], ["scaled"]),
        node("Add", ["scaled", "bias"], ["normed"]),
        node("Gemm", ["normed", "out", "last"], ["logits"], transB=1),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    ends = {"x": [batch, 3, 8, 8]}, {"probabilities": [batch, 3]}
    return make_model(nodes, *ends, weights, opset)
