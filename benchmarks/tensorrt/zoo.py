"""Does every model of the zoo become a TensorRT engine, how large, of which layers? Needs no GPU.

    python benchmarks/tensorrt/zoo.py --output benchmarks/tensorrt/zoo.json
    python benchmarks/tensorrt/zoo.py --precisions int8 --output benchmarks/tensorrt/zoo_int8.json
    python benchmarks/tensorrt/zoo.py --files runs/a/student.onnx --precisions int8

Each model is built freshly, exported as a recipe would (1x28x28, 10 classes; for int8 calibrated on noise and
written in the profile `tensorrt`) and compiled in a worker of its own for sm89. `worker_seconds` is the worker's
whole life: start, parse, build, write.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgekd.interface import image_classifier

SHAPE = {"channels": 1, "height": 28, "width": 28}
INTERFACE = image_classifier(classes=10, **SHAPE)
ELSEWHERE = ("timm", "transformers", "python")
"""Builders that take a model from a package or a user."""
PACKAGES = ("tensorrt-rtx-cu13-bindings", "onnxruntime-ep-nv-tensorrt-rtx-cu13", "torch", "onnx")
IMAGES = 16
"""For calibration: of noise, since the weights are random too."""


def exported(name: str, goal: Path, *, int8: bool) -> Path:
    """The ONNX file of a model with random weights, in float or as a Q/DQ graph."""
    import torch

    from edgekd.learn import blueprint
    from edgekd.learn.export import to_onnx

    torch.manual_seed(0)
    model = blueprint.build(blueprint.Blueprint(builder=name, interface=INTERFACE)).eval()
    written = _quantized(model) if int8 else model
    to_onnx.write(written, goal, INTERFACE, opset=to_onnx.OPSETS[0])
    return goal


def _quantized(model: Any) -> Any:
    import torch

    from edgekd.learn.quant import emit
    from edgekd.learn.quant import post_training
    from edgekd.profile import NUMERICS
    from edgekd.profile import PROFILES

    profile = PROFILES["tensorrt"]
    images = torch.randn(IMAGES, *SHAPE.values())
    numerics = NUMERICS[profile.numerics]
    started = post_training.quantize(
        model, INTERFACE, numerics, lambda: [(images,)], method="min-max", correct=False
    )
    return emit.prepare_export(started.model.eval(), profile)


def compiled(model: Path, precision: str, capability: str, scratch: Path) -> dict[str, Any]:
    """What a worker says of one file in one precision, or the line that refuses it."""
    from edgekd.bench.build import build_engine
    from edgekd.errors import EdgekdError

    goal = scratch / f"{model.stem}-{precision}"
    goal.mkdir()
    options = {"capability": capability}
    began = time.perf_counter()
    try:
        told = build_engine(
            model, "tensorrt", precision, goal, timeout_s=600, kernels=True, options=options
        )
    except EdgekdError as error:
        return {"refused": error.line()}
    taken = time.perf_counter() - began
    kept = ("size_bytes", "kernels", "islands", "not_measured")
    return {"worker_seconds": round(taken, 2), **{key: told[key] for key in kept if key in told}}


def found(given: argparse.Namespace, scratch: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each model and what became of it."""
    from edgekd.learn.models import MODELS

    for path in given.files:
        yield (
            path.stem,
            {
                precision: compiled(path, precision, given.capability, scratch)
                for precision in given.precisions
            },
        )
    if given.files:
        return
    for name in given.models or [name for name in MODELS if name not in ELSEWHERE]:
        told: dict[str, Any] = {}
        for precision in given.precisions:
            folder = scratch / f"{name}-{precision}-onnx"
            folder.mkdir()
            try:
                model = exported(name, folder / f"{name}.onnx", int8=precision == "int8")
            except Exception as error:  # the next model may fare better
                told[precision] = {"not_exported": f"{type(error).__name__}: {error}"[:300]}
                continue
            told["onnx_bytes"] = model.stat().st_size
            told[precision] = compiled(model, precision, given.capability, scratch)
        yield name, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", help="names of `edgekd models`; all by default")
    parser.add_argument("--files", nargs="*", type=Path, default=[], help="ONNX files instead")
    parser.add_argument("--precisions", nargs="*", default=["fp32", "fp16"])
    parser.add_argument("--capability", default="sm89")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    report: dict[str, Any] = {
        "command": "python " + " ".join(sys.argv),
        "capability": given.capability,
        "versions": {name: version(name) for name in PACKAGES},
        "models": {},
    }
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        for name, told in found(given, Path(folder)):
            report["models"][name] = told
            print(name, json.dumps(told), flush=True)
    if given.output:
        given.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
