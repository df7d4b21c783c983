"""Is a model that is 5 % slower called slower?

    python benchmarks/bench_trust/slowdown.py --runs 20 --output benchmarks/bench_trust/slowdown.json

B is the same engine on the same file, in the same kind of process, but each of its calls is followed by a busy wait of
5 % of what the call took (`SLOWED`): a slowdown whose size is known. 20 runs of 15 pairs take about 8 minutes.

`called slower` needs the interval beyond 1 + delta. `caught` is what a gate without a margin would say: beyond 1.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import aa

from edgekd.bench.process import run_worker

SLOWED = """
import os, time
from edgekd.bench import jobs, worker
BY = {by}
plain = jobs.make_step
def stepper(session, feeds):
    step, clock = plain(session, feeds), time.perf_counter_ns
    def slowed(index):
        before = clock()
        step(index)
        now = clock()
        until = now + BY * (now - before)
        while clock() < until:
            pass
    return slowed
jobs.make_step = stepper
os._exit(worker.main())
"""


@contextmanager
def slowed(by: float) -> Iterator[None]:
    """Workers that are started meanwhile are slower by this fraction."""
    started = subprocess.Popen

    def popen(order: list[str], **more: Any) -> subprocess.Popen[bytes]:
        if order[-2:] == ["-m", "edgekd.bench.worker"]:
            order = [*order[:-2], "-c", SLOWED.format(by=by)]
        return started(order, **more)

    with mock.patch("subprocess.Popen", popen):
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an ONNX file or a bundle")
    parser.add_argument("--by", type=float, default=0.05)
    aa.add_options(parser, runs=20)
    given = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        a, b = (aa.subject(given.model, given.runtime, Path(folder) / name) for name in "ab")

        def worker(job: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
            is_b = any(Path(folder) / "b" in path.parents for path in more["reads"].values())
            with slowed(given.by) if is_b else nullcontext():
                return run_worker(job, spec, **more)

        rows = aa.repeated(given, a, b, worker=worker)
    slower = sum(one["verdict"] == "slower" for one in rows)
    caught = sum(one["interval"][0] > 1 for one in rows)
    report = {
        "goal": "called slower in at least 90 % of 20 runs at 15 pairs",
        "injected": given.by,
        "runs": len(rows),
        "called_slower": slower,
        "caught": caught,
        "verdicts": aa.counted(rows),
        "delta": given.delta,
        "pairs": given.pairs,
        "rows": rows,
    }
    print(f"{slower} of {len(rows)} called slower, {caught} caught; {aa.counted(rows)}")
    aa.write(report, given.output)


if __name__ == "__main__":
    main()
