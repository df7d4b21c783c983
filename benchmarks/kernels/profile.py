"""Which of ONNX Runtime's kernels take the time of the int8 file, beside those of the fp32 file, by its own profiler.

    python benchmarks/kernels/profile.py fp32.onnx int8.onnx --threads 2 --output benchmarks/kernels/NAME-profile.json

Files with one input and a free batch, which is 1. Each kernel counts with the median of its runs, the two files in turn in one
process; what lies between kernels (the call, the scheduler) is not in it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edgekd.bench.machine import fingerprint

ROUNDS, RUNS, US_PER_MS = 5, 20, 1e3


def durations(model: Path, threads: int, folder: Path) -> dict[tuple[str, str], list[float]]:
    """Microseconds of every run of every kernel, by operator and node."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.enable_profiling, options.profile_file_prefix = True, str(folder / "profile")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    shape = [size if isinstance(size, int) else 1 for size in given.shape]
    images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    for _ in range(RUNS):
        session.run(None, {given.name: images})
    found = defaultdict(list)
    for event in json.loads(Path(session.end_profiling()).read_text()):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            found[event["args"]["op_name"], event["name"]].append(event["dur"])
    return found


def table(kernels: dict[tuple[str, str], list[float]]) -> dict[str, Any]:
    """Milliseconds a run and number of nodes, by operator, the costliest first."""
    spent: dict[str, list[float]] = defaultdict(list)
    for (operator, _), runs in kernels.items():
        spent[operator].append(statistics.median(runs) / US_PER_MS)
    ordered = sorted(spent.items(), key=lambda item: -sum(item[1]))
    rows = {name: {"nodes": len(ms), "ms": round(sum(ms), 4)} for name, ms in ordered}
    return {"ms": round(sum(map(sum, spent.values())), 4), "operators": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fp32", type=Path)
    parser.add_argument("int8", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, required=True)
    asked = parser.parse_args()
    both: dict[str, dict[tuple[str, str], list[float]]] = {
        name: defaultdict(list) for name in ("fp32", "int8")
    }
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(ROUNDS):
            for name, kernels in both.items():
                path: Path = getattr(asked, name)
                for key, runs in durations(path, asked.threads, Path(scratch)).items():
                    kernels[key] += runs
    result = {
        "command": f"python benchmarks/kernels/profile.py fp32.onnx int8.onnx --threads {asked.threads}",
        "machine": fingerprint.collect_host_facts(),
        "versions": fingerprint.list_engine_versions(),
        **{name: table(kernels) for name, kernels in both.items()},
    }
    asked.output.write_text(json.dumps(result, indent=1, default=str) + "\n")
    print(json.dumps({name: result[name] for name in both}, indent=1))


if __name__ == "__main__":
    main()
