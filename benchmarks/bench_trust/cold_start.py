"""Is each phase of a cold start what it was? An engine that sleeps known times, measured as any other.

    python benchmarks/bench_trust/cold_start.py --output benchmarks/bench_trust/cold_start.json

The engine sleeps 50 ms when it is loaded, 200 ms in its first inference and 20 ms in every later one.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgekd.bench import statistics
from edgekd.bench.engine import Engine
from edgekd.bench.process import run_worker
from edgekd.bench.session import Rules
from edgekd.bench.session import Subject
from edgekd.bench.session import worker_spec
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp

SLEEPS_MS = {"load_ms": 50.0, "first_infer_ms": 200.0, "second_infer_ms": 20.0}
SAYS = {"load_ms": 50, "first_ms": 200, "run_ms": 20}
GOAL_MS = 2.0


def measured(processes: int, folder: Path) -> list[dict[str, float]]:
    """The phases of each process, ms."""
    model = folder / "model.json"
    model.write_text(json.dumps(SAYS))
    rules = Rules(
        warm_up=WarmUp(window_iterations=1, window_ns=0, windows=1),
        steady=Steady(min_iterations=1, min_ns=0, max_ns=0),
    )
    spec, reads = worker_spec(
        Subject("sleeper", Engine("null", "fp32", 1, {model.name: model})), rules
    )
    found = [
        run_worker("latency", spec, timeout_s=60, reads=reads)["cold_ms"] for _ in range(processes)
    ]
    return [{name: cold[name] for name in SLEEPS_MS} for cold in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=30)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = measured(given.processes, Path(folder))
    off = {name: [run[name] - want for run in runs] for name, want in SLEEPS_MS.items()}
    told: dict[str, Any] = {
        "command": "python " + " ".join(sys.argv),
        "goal_ms": GOAL_MS,
        "median_off_ms": {name: round(statistics.median(all_), 3) for name, all_ in off.items()},
        "largest_off_ms": {name: round(max(map(abs, all_)), 3) for name, all_ in off.items()},
        "within_goal": sum(
            all(abs(o[i]) <= GOAL_MS for o in off.values()) for i in range(len(runs))
        ),
        "processes": len(runs),
        "runs": runs,
    }
    print(json.dumps({name: value for name, value in told.items() if name != "runs"}))
    if given.output:
        given.output.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
