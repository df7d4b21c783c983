"""What the harness adds to one call: a model that does nothing, in a real worker.

    python benchmarks/bench_trust/overhead.py --output benchmarks/bench_trust/overhead.json

`call_us`: the median call of the null runtime, which hands its input back; the clock's two readings, the choice of the
next input and the touch of each output are all in it. `clock_us`: the two readings alone. A minute.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import aa

from edgekd.bench import session
from edgekd.bench import statistics
from edgekd.bench import timing
from edgekd.bench.engine import Engine
from edgekd.bench.process import run_worker


def clock_us() -> float:
    """Between two readings of the clock with nothing between them."""
    clock, gaps = time.perf_counter_ns, []
    for _ in range(100_000):
        before = clock()
        gaps.append(clock() - before)
    return statistics.median(gaps) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=30)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        model = Path(folder) / "model.json"
        model.write_text("{}")
        subject = session.Subject("null", Engine("null", "fp32", 1, {"model.json": model}))
        rules = session.Rules(steady=timing.Steady(min_ns=200_000_000, max_ns=0))
        spec, reads = session.worker_spec(subject, rules)
        calls_us = []
        for _ in range(given.processes):
            process = run_worker("latency", spec, timeout_s=120, reads=reads)
            calls_us.append(statistics.median(process["iters_ns"]) / 1000)
    across = statistics.summarize_processes(calls_us)
    report = {
        "goal": "at most 5 microseconds",
        "call_us": across.value,
        "interval": across.interval,
        "clock_us": clock_us(),
        "processes_us": calls_us,
    }
    print(json.dumps({key: report[key] for key in ("call_us", "interval", "clock_us")}))
    aa.write(report, given.output)


if __name__ == "__main__":
    main()
