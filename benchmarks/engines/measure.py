"""What a fixed batch, bound inputs and the call itself do to a latency; and what benchmark_app says.

    python benchmarks/engines/models.py MODELS
    python benchmarks/engines/measure.py MODELS/*.onnx --output benchmarks/engines/result.json

Each form of an engine runs in fresh processes that take turns, every other round backwards. `ratios`
compares two forms round by round: the median of the ratios, with the interval that order statistics
give it. benchmark_app (OpenVINO's own) runs the same IR at the same batch, threads and precision, synchronously,
in the same rounds. It times the inference inside the engine, so what is left beside it is the call.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd import runtimes
from edgekd.bench import inputs
from edgekd.bench import jobs
from edgekd.bench import timing
from edgekd.bench.machine import fingerprint
from edgekd.bench.pair import comparison
from edgekd.bench.statistics import median
from edgekd.bench.statistics import summarize_processes

FORMS = {
    "openvino free": ("openvino", None, True),
    "openvino fixed": ("openvino", 1, True),
    "openvino free, caller": ("openvino", None, False),
    "openvino fixed, caller": ("openvino", 1, False),
    "onnxruntime bound": ("onnxruntime", 1, True),
    "onnxruntime caller": ("onnxruntime", 1, False),
}
"""Name to engine, batch it is compiled for, and whether inputs and outputs are bound."""
APP = "benchmark_app"
RATIOS = {
    "fixed / free": ("openvino fixed", "openvino free"),
    "now / before (fixed and bound / free, caller)": ("openvino fixed", "openvino free, caller"),
    "fixed / benchmark_app": ("openvino fixed", APP),
    "fixed, caller / benchmark_app": ("openvino fixed, caller", APP),
    "onnxruntime bound / caller": ("onnxruntime bound", "onnxruntime caller"),
}
SECONDS = 0.4


def child(spec: dict[str, Any]) -> float:
    """Microseconds of the median inference, in this very process."""
    runtime, batch, bound = FORMS[spec["form"]]
    built = {name: Path(path) for name, path in spec["files"].items()}
    session = runtimes.find_runtime(runtime).load(built, spec["precision"], 1, batch=batch)
    feeds = inputs.draw_feeds(session.inputs, batch=1, seed=0)
    step = (jobs.make_step if bound else jobs.make_caller)(session, feeds)
    timing.warm_up(step, jobs.clock, timing.WarmUp(max_ns=2_000_000_000))
    return median(timing.run_iterations(step, jobs.clock, 0, 30, round(SECONDS * 1e9))) / 1000


def asked(spec: dict[str, Any]) -> float:
    """The same from a fresh process."""
    command = [sys.executable, __file__, "--child", json.dumps(spec)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(ran.stdout.split()[-1])


def app(graph: Path, precision: str) -> float:
    """Microseconds of benchmark_app's median, for one row at a time."""
    session = runtimes.find_runtime("openvino").load(_ir(graph), precision, 1, batch=1)
    shapes = ",".join(f"{t.name}[{','.join(map(str, t.shape))}]" for t in session.inputs)
    command = [sys.executable, "-c", "from openvino.tools.benchmark.main import main; main()"]
    command += ["-m", str(graph), "-d", "CPU", "-api", "sync", "-hint", "none", "-nstreams", "1"]
    command += ["-nthreads", "1", "-infer_precision", "f32", "-shape", shapes, "-t", "1"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    value, unit = re.search(r"Median:\s+([0-9.]+) (us|ms)", ran.stdout).groups()
    return float(value) * (1 if unit == "us" else 1000)


def _ir(graph: Path) -> dict[str, Path]:
    return {"model.xml": graph, "model.bin": graph.with_suffix(".bin")}


def measured(model: Path, rounds: int) -> dict[str, Any]:
    """Medians of every form by round, what they come to, and their ratios."""
    precision = "int8" if "int8" in model.stem else "fp32"
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        built: dict[str, dict[str, Path]] = {}
        for name in ("openvino", "onnxruntime"):
            folder = Path(scratch) / name
            folder.mkdir()
            built[name] = runtimes.find_runtime(name).build(model, folder, precision)
        graph = built["openvino"]["model.xml"]
        every = [*FORMS, APP] if importlib.util.find_spec("openvino.tools.benchmark") else [*FORMS]
        found: dict[str, list[float]] = {name: [] for name in every}
        for number in range(rounds):
            for name in every if number % 2 == 0 else every[::-1]:
                if name == APP:
                    found[name].append(app(graph, precision))
                    continue
                paths = {key: str(path) for key, path in built[FORMS[name][0]].items()}
                found[name].append(asked({"form": name, "files": paths, "precision": precision}))
        kernels = {}
        for batch in (None, 1):
            compiled = runtimes.find_runtime("openvino").load(_ir(graph), precision, 1, batch=batch)
            kernels["free" if batch is None else "fixed"] = _kernels(compiled)
    return {
        "microseconds": {name: _across(values) for name, values in found.items()},
        "ratios": {
            name: _ratio(found[one], found[other])
            for name, (one, other) in RATIOS.items()
            if one in found and other in found
        },
        "openvino_kernels": kernels,
        "rounds": found,
    }


def _kernels(session: Any) -> dict[str, int]:
    counted: dict[str, int] = {}
    for one in session._compiled.get_runtime_model().get_ordered_ops():
        facts = {name: value.astype(str) for name, value in one.get_rt_info().items()}
        if facts["layerType"] in ("Convolution", "FullyConnected", "MatMul"):
            name = f"{facts['layerType']} {facts['runtimePrecision']}"
            counted[name] = counted.get(name, 0) + 1
    return counted


def _across(values: list[float]) -> dict[str, Any]:
    found = summarize_processes(values)
    return {"p50": found.value, "ci95": found.interval, "processes": len(values)}


def _ratio(one: list[float], other: list[float]) -> dict[str, Any]:
    judged = comparison.judge([math.log(a / b) for a, b in zip(one, other, strict=True)])
    return {"ratio": judged.ratio, "ci95": judged.interval}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--child")
    given = parser.parse_args()
    if given.child:
        print(child(json.loads(given.child)))
        return
    report: dict[str, Any] = {
        "command": "python benchmarks/engines/measure.py MODELS/*.onnx",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": {k: v for k, v in fingerprint.collect_host_facts().items() if k != "flags"},
        "versions": fingerprint.list_engine_versions(),
        "models": {},
    }
    for model in given.models:
        report["models"][model.stem] = found = measured(model, given.rounds)
        for name, one in found["ratios"].items():
            ends = one["ci95"] or (math.nan, math.nan)
            print(f"{model.stem}: {name}: {one['ratio']:.3f} ({ends[0]:.3f} to {ends[1]:.3f})")
        if given.output:
            files.write_bytes(given.output, json.dumps(report, indent=1).encode() + b"\n")


if __name__ == "__main__":
    main()
