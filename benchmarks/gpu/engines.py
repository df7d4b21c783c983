"""Latency of an exported student: ONNX Runtime on CUDA, TensorRT through `edgekd bench`, and ONNX Runtime on the CPU."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cases
import numpy as np

from edgekd.learn.export import to_onnx


def measure_provider(file: Path, provider: str, size: int) -> dict[str, Any]:
    """Seconds of a call of batch 1, its input handed over as a program would; ONNX Runtime, float32.

    Raises:
        RuntimeError: if that provider is not there.
    """
    import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        raise RuntimeError(f"this ONNX Runtime {onnxruntime.__version__} has no {provider}")
    session = onnxruntime.InferenceSession(str(file), providers=[provider])
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"{provider} could not be started")
    image = np.random.default_rng(0).standard_normal((1, 3, size, size)).astype(np.float32)
    given = {session.get_inputs()[0].name: image}
    took = []
    for number in range(60):
        start = time.perf_counter()
        session.run(None, given)
        if number >= 10:
            took.append(time.perf_counter() - start)
    return {"median_ms": 1e3 * statistics.median(took), "min_ms": 1e3 * min(took)}


def measure_by_bench(file: Path, runtime: str, limit_s: float) -> dict[str, Any]:
    """The published row of `edgekd bench measure`.

    Raises:
        RuntimeError: if it gives none.
    """
    command = [sys.executable, "-m", "edgekd", "bench", "measure", str(file), "--runtime", runtime]
    command += ["--processes", "3", "--budget", f"{limit_s / 2:.0f}", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    if not done.stdout.strip():
        raise RuntimeError((done.stderr.strip().splitlines() or ["no word"])[-1])
    told: dict[str, Any] = json.loads(done.stdout)
    if "error" in told:
        raise RuntimeError(told["error"])
    return told


def main() -> None:
    options = cases.parse_options(__doc__)
    students, _ = cases.networks(options.tiny)
    net = students["ResNet-50"]
    found: dict[str, Any] = {"model": net.builder}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "student.onnx"
        to_onnx.write(cases.build(net).eval(), file, cases.plan_of(net).interface)
        limit_s = options.seconds / 2
        asked: dict[str, Callable[[], dict[str, Any]]] = {
            "onnxruntime cuda": lambda: measure_provider(file, "CUDAExecutionProvider", net.size),
            "tensorrt": lambda: measure_by_bench(file, "tensorrt", limit_s),
            "onnxruntime cpu": lambda: measure_provider(file, "CPUExecutionProvider", net.size),
        }
        for name, ask in asked.items():
            try:
                found[name] = ask()
            except Exception as error:  # one engine that fails must not take the others along
                found[name] = {"not measured": f"{type(error).__name__}: {error}"[:300]}
            cases.write(options.output, found)


if __name__ == "__main__":
    main()
