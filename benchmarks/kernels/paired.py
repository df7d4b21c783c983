"""Two files of one network on OpenVINO, compiled for a batch of 1, in turn in one process: the ratio of their times.

    python benchmarks/kernels/paired.py OURS.onnx THEIRS.xml --output benchmarks/kernels/NAME.json

Stored: vit-tiny-224-nncf.json, timm's vit_tiny_patch16_224 (untrained), profile `openvino` against nncf.quantize of the same float
file (model_type TRANSFORMER). Each round runs each file once unmeasured and twice measured; the ratio is the median over
rounds, beside its quartiles.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from edgekd.bench.machine import fingerprint

ROUNDS, LEFT_OUT, NS_PER_MS = 100, 3, 1e6


def compiled(path: Path, threads: int) -> Any:
    model = openvino.Core().read_model(path)
    shape = model.input().get_partial_shape()
    shape[0] = 1
    model.reshape(shape)
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": 1,
    }
    return openvino.compile_model(model, "CPU", {**options, "PERFORMANCE_HINT": "LATENCY"})


def products(model: Any) -> dict[str, int]:
    """Convolutions and matrix products of the graph that runs, by precision."""
    told = [op.get_rt_info() for op in model.get_runtime_model().get_ops()]
    kinds = [(info["layerType"].astype(str), info["runtimePrecision"].astype(str)) for info in told]
    chosen = ("Convolution", "FullyConnected", "MatMul")
    return dict(Counter(f"{kind} {precision}" for kind, precision in kinds if kind in chosen))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ours", type=Path)
    parser.add_argument("theirs", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    result: dict[str, Any] = {
        "command": "python benchmarks/kernels/paired.py OURS.onnx THEIRS.xml",
        "machine": fingerprint.collect_host_facts(),
        "versions": fingerprint.list_engine_versions(),
        "threads": {},
    }
    for threads in asked.threads:
        models = [compiled(path, threads) for path in (asked.ours, asked.theirs)]
        requests = [model.create_infer_request() for model in models]
        images = np.random.default_rng(0).standard_normal(models[0].input().shape, np.float32)
        taken = np.zeros((ROUNDS, 2))
        for number in range(ROUNDS):
            for which, request in enumerate(requests):
                request.infer([images])
                start = time.perf_counter_ns()
                request.infer([images])
                request.infer([images])
                taken[number, which] = (time.perf_counter_ns() - start) / 2 / NS_PER_MS
        taken = taken[LEFT_OUT:]
        ratios = taken[:, 0] / taken[:, 1]
        result["threads"][threads] = {
            "p50_ms": np.median(taken, 0).tolist(),
            "ratio": float(np.median(ratios)),
            "quartiles": np.percentile(ratios, [25, 75]).tolist(),
            "products": [products(model) for model in models],
        }
    asked.output.write_text(json.dumps(result, indent=1, default=str) + "\n")
    print(json.dumps(result["threads"], indent=1))


if __name__ == "__main__":
    main()
