"""Do other tools find the same p50? A bare loop over ONNX Runtime, and OpenVINO's benchmark_app.

    python benchmarks/bench_trust/cross_tool.py --repeats 10 --output benchmarks/bench_trust/cross_tool.json

Same file, same threads, same precision, synchronous, one request. The tools take turns, every other round backwards; each
round is fresh processes. Ten repeats take about 2 minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import aa

from edgekd.bench import session
from edgekd.bench import statistics
from edgekd.bench import timing
from edgekd.bench.pair import comparison
from edgekd.bench.pair import reference_model
from edgekd.bench.process import run_worker

LAYERS = 600
"""About 2 ms: benchmark_app reads OpenVINO's own timer, which leaves out some 7 microseconds of Python that every caller
pays, and that would be 5 % of a model of 0.15 ms."""
BARE_LOOP = """
import json, statistics, sys, time
import numpy as np
import onnxruntime as ort
model, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
chosen = ort.SessionOptions()
chosen.intra_op_num_threads, chosen.inter_op_num_threads = threads, 1
session = ort.InferenceSession(model, chosen, providers=["CPUExecutionProvider"])
(wanted,) = session.get_inputs()
shape = [size if isinstance(size, int) else 1 for size in wanted.shape]
x = {wanted.name: np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
times, end = [], time.perf_counter() + seconds + 0.3
while time.perf_counter() < end:
    before = time.perf_counter_ns()
    session.run(None, x)
    times.append(time.perf_counter_ns() - before)
print(json.dumps(statistics.median(times[len(times) // 4:]) / 1e6))
"""
UNITS_MS = {"us": 1e-3, "ms": 1.0}


def ours(
    model: Path, runtime: str, folder: Path, threads: int, seconds: float
) -> Callable[[], float]:
    """The median of one latency process, in ms."""
    folder.mkdir()
    subject = aa.compiled(model, runtime, folder, threads)
    rules = session.Rules(steady=timing.Steady(min_ns=round(seconds * 1e9)))
    spec, reads = session.worker_spec(subject, rules)
    return lambda: (
        statistics.median(run_worker("latency", spec, timeout_s=120, reads=reads)["iters_ns"]) / 1e6
    )


def bare_loop(model: Path, threads: int, seconds: float) -> Callable[[], float]:
    order = [sys.executable, "-c", BARE_LOOP, str(model), str(threads), str(seconds)]
    return lambda: float(subprocess.run(order, check=True, capture_output=True, text=True).stdout)


def benchmark_app(model: Path, threads: int, seconds: float) -> Callable[[], float]:
    app = Path(sys.executable).parent / "benchmark_app"
    options = ["-m", str(model), "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1"]
    options += ["-nthreads", str(threads), "-infer_precision", "f32", "-pin", "NO"]
    order = [str(app), *options, "-t", str(max(1, math.ceil(seconds)))]

    def run() -> float:
        text = subprocess.run(order, check=True, capture_output=True, text=True).stdout
        value, unit = re.search(r"Median:\s+([\d.]+) (us|ms)", text).groups()  # type: ignore[union-attr]
        return float(value) * UNITS_MS[unit]

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an ONNX file of fixed batch 1 and one input")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="timed part of each process")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        folder, threads = Path(scratch), given.threads
        model = given.model or folder / "yardstick.onnx"
        if given.model is None:
            model.write_bytes(reference_model.make_model(LAYERS, batch=1))
        ort, openvino = (
            ours(model, name, folder / name, threads, given.seconds)
            for name in ("onnxruntime", "openvino")
        )
        pairs = {
            "bare loop": (ort, bare_loop(model, threads, given.seconds)),
            "benchmark_app": (openvino, benchmark_app(model, threads, given.seconds)),
        }
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in pairs}
        for turn in range(given.repeats):
            for name, (us, them) in pairs.items():
                if turn % 2:
                    theirs_ms, ours_ms = them(), us()
                else:
                    ours_ms, theirs_ms = us(), them()
                took[name].append((ours_ms, theirs_ms))
                print(
                    turn + 1, name, f"ours {ours_ms:.4f} ms, theirs {theirs_ms:.4f} ms", flush=True
                )
    report = {"goal": "p50 within 3 %", "threads": threads, "tools": {}}
    for name, rows in took.items():
        found = comparison.judge([math.log(us / them) for us, them in rows], delta=0.03)
        report["tools"][name] = {
            "ours_over_theirs": found.ratio,
            "interval": found.interval,
            "within_3_percent": abs(found.ratio - 1) <= 0.03,
            "ours_ms": [us for us, _ in rows],
            "theirs_ms": [them for _, them in rows],
        }
    shown = {
        name: {k: v for k, v in tool.items() if "_ms" not in k}
        for name, tool in report["tools"].items()
    }
    print(json.dumps(shown, indent=1))
    aa.write(report, given.output)


if __name__ == "__main__":
    main()
