"""What starting costs, as ratios to ``python -c "import click"``, in interleaved fresh processes.

    python benchmarks/startup/measure.py --run-dir runs/quickstart --output benchmarks/startup/result.json

`import`: ``import edgekd``. `help`: ``edgekd --help``. `bench`: ``edgekd bench model.onnx`` until its first worker is asked to measure: it compiles for every engine that is
installed, each in a worker that imports it. `bench-one`: the same with ``--runtime onnxruntime``. `again`:
``edgekd compress pipelines/quickstart.yaml`` when nothing has changed (seconds; the run must be finished). `call`:
what the timing loop adds to one inference (microseconds).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BENCH = """
import sys
from edgekd.bench.machine import monitor
def first(*rest, **more):
    raise SystemExit(0)
monitor.Monitor.__call__ = first
from edgekd.cli import run
run(["bench", *sys.argv[1:], "--processes", "6"])
"""
HELP = "from edgekd.cli import run; run(['--help'])"


def took_s(order: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(order, check=True, capture_output=True)
    return time.perf_counter() - started


def summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def call_us() -> float:
    """Microseconds the timing loop spends on a call that does nothing."""
    from edgekd.bench import timing

    runs = [
        timing.run_iterations(lambda i: None, time.perf_counter_ns, 0, 2000, 0) for _ in range(9)
    ]
    return statistics.median(statistics.median(run) for run in runs) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="a finished quickstart")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    store = ["--store", str(given.store)] if given.store else []
    again = ["compress", "pipelines/quickstart.yaml", "--run-dir", str(given.run_dir), *store]
    model = str(given.run_dir / "bundle" / "model.onnx")
    orders = {
        "click": [sys.executable, "-c", "import click"],
        "import": [sys.executable, "-c", "import edgekd"],
        "help": [sys.executable, "-c", HELP],
        "bench": [sys.executable, "-c", BENCH, model],
        "bench-one": [sys.executable, "-c", BENCH, model, "--runtime", "onnxruntime"],
        "again": [sys.executable, "-m", "edgekd", *again],
    }
    took: dict[str, list[float]] = {name: [] for name in orders}
    for _ in range(given.repeats):
        for name, order in orders.items():
            took[name].append(took_s(order))
    report: dict[str, Any] = {
        "command": "python " + " ".join(sys.argv),
        "seconds": {name: summary(values) for name, values in took.items()},
        "ratio_to_click": {
            name: summary([a / b for a, b in zip(took[name], took["click"], strict=True)])
            for name in ("import", "help", "bench", "bench-one")
        },
        "harness_us_per_call": call_us(),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if given.output:
        given.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
