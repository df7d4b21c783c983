"""A small bundle made without torch, for the tests of bundles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx import numpy_helper
from safetensors.numpy import save_file

from edgekd.bundle import write as bundle_write
from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import image_classifier
from edgekd.tasks import classification

IMAGE = Image(height=4, width=4, channels=1, mean=(0.5,), std=(0.25,))
LABELS = ("a", "b", "c")
INTERFACE = image_classifier(classes=3, channels=1, height=4, width=4)
NAMES = {
    "inputs": "usual/inputs/images",
    "outputs": "usual/outputs/logits",
    "pixels": "usual/rows/images",
}
"""Of the golden arrays in their file."""


def dataset(image: Image = IMAGE, labels: tuple[str, ...] = LABELS) -> Dataset:
    """What the model is asked."""
    label = Label(names=labels)
    return Dataset(task="classification", inputs={"images": image}, targets={"labels": label})


def row(name: str = "onnxruntime-fp32-1t", **other: Any) -> dict[str, Any]:
    """One measured row."""
    runtime, _, rest = name.removeprefix("teacher-").partition("-")
    precision = rest.rpartition("-")[0]
    return {
        "name": name,
        "model": "teacher" if name.startswith("teacher-") else "student",
        "runtime": runtime,
        "runtime_version": "1.0",
        "precision": precision,
        "threads": 1,
        "validation_score": 0.9,
        "latency_p50_ms": 0.1,
        "latency_ci95_ms": [0.09, 0.11],
        "peak_rss_bytes": 30_000_000,
        "size_bytes": 400,
        "parity_max_abs": 1e-6,
        "agreement": 1.0,
        "kernels": {"Gemm f32": 1},
        "status": "ok",
        "reason": "",
        **other,
    }


def model(path: Path, seed: int = 0, *, quantized: bool = False) -> np.ndarray:
    """A linear classifier [batch, 1, 4, 4] -> [batch, 3] at `path`; gives its weights [16, 3].

    With `quantized` its inputs are quantized too, and added to themselves times zero.
    """
    weights = np.random.default_rng(seed).normal(size=(16, 3)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["images"], ["flat"])]
    held = {"weights": weights}
    if quantized:
        held |= {"scale": np.float32(0.05), "zero": np.uint8(128), "none": np.float32(0)}
        nodes += [
            helper.make_node("QuantizeLinear", ["flat", "scale", "zero"], ["codes"]),
            helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["rounded"]),
            helper.make_node("Mul", ["rounded", "none"], ["nothing"]),
            helper.make_node("Add", ["flat", "nothing"], ["same"]),
        ]
    nodes.append(helper.make_node("MatMul", [nodes[-1].output[0], "weights"], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "model",
        [helper.make_tensor_value_info("images", 1, ["batch", 1, 4, 4])],
        [helper.make_tensor_value_info("logits", 1, ["batch", 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()],
    )
    opset = helper.make_operatorsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return weights


def golden(weights: np.ndarray, **other: np.ndarray | None) -> dict[str, np.ndarray]:
    """Pixels, the inputs they become and the answers `weights` give; `other` replaces or, None, leaves
    out some."""
    pixels = np.random.default_rng(1).integers(0, 256, (8, 4, 4, 1), np.uint8)
    inputs = IMAGE.apply(pixels)
    held = {"inputs": inputs, "outputs": inputs.reshape(8, 16) @ weights, "pixels": pixels[:1]}
    return {name: value for name, value in {**held, **other}.items() if value is not None}


def write_golden(path: Path, tensors: Mapping[str, np.ndarray]) -> Path:
    """A file of golden samples of arrays as `golden` names them."""
    save_file({NAMES[name]: np.ascontiguousarray(each) for name, each in tensors.items()}, path)
    return path


def make(
    folder: Path,
    *,
    quantized: bool = False,
    tensors: dict[str, np.ndarray | None] | None = None,
    **other: Any,
) -> Path:
    """A bundle at ``folder/bundle``; `tensors` replaces those of `golden`, `other` arguments of
    `bundle_write.write`."""
    weights = model(folder / "model.onnx", quantized=quantized)
    write_golden(folder / "golden.safetensors", golden(weights, **(tensors or {})))
    arguments: dict[str, Any] = {
        "name": "tiny",
        "version": "0.1.0",
        "model": folder / "model.onnx",
        "golden": folder / "golden.safetensors",
        "dataset": dataset(),
        "interface": INTERFACE,
        "metric": classification.TASK.score,
        "rows": [row(), row("teacher-onnxruntime-fp32-1t")],
        "chosen": "onnxruntime-fp32-1t",
        "created_from": {"data": "0" * 64, "distil": "1" * 64},
        "parity": {"allowed": 1e-4},
        "card": "# tiny\n",
        **other,
    }
    bundle_write.write(folder / "bundle", **arguments)
    return folder / "bundle"
