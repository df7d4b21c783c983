"""Is the int8 file faster than the fp32 one, and if not, which kernels stayed in float, and why?

    python benchmarks/kernels/run.py fp32.onnx int8.onnx --output benchmarks/kernels/NAME.json

Kernel counts and islands come from each engine's optimized graph; the ratio int8 / fp32 from interleaved pairs of fresh
processes (`edgekd.bench.pair.run`), at 1 and at 2 threads. One pair of files takes about 3 minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.bench.build import build_engine
from edgekd.bench.engine import Engine
from edgekd.bench.machine import fingerprint
from edgekd.bench.pair.run import PairRules
from edgekd.bench.pair.run import run_pairs
from edgekd.bench.session import Subject
from edgekd.bench.statistics import median

RUNTIMES = ("onnxruntime", "openvino")


def built(model: Path, runtime: str, precision: str, folder: Path) -> tuple[Engine, dict[str, Any]]:
    """An engine for one thread, and what its worker told of it."""
    folder.mkdir(parents=True)
    told = build_engine(model, runtime, precision, folder, timeout_s=600, kernels=True)
    if "not_measured" in told:
        raise SystemExit(f"{runtime} {precision}: {told['not_measured']}")
    paths = {name: folder / file for name, file in told["files"].items()}
    return Engine(runtime, precision, 1, paths), told


def compared(
    fp32: Engine, int8: Engine, threads: int, pairs: int, budget_s: float
) -> dict[str, Any]:
    """The ratio int8 / fp32 of the medians, with its interval; below 1 int8 is faster."""
    sides = [Subject(e.precision, e._replace(threads=threads), None, 1) for e in (fp32, int8)]
    found = run_pairs(*sides, PairRules(pairs=pairs, memory=False, budget_s=budget_s))
    if found.compared is None:
        return {"failure": found.failure or "no pair was finished"}
    ours, theirs = (median(ns) / 1e6 for ns in found.medians_ns())
    ratios = [math.exp(ratio) for ratio in found.log_ratios()]
    return {
        "fp32_p50_ms": ours,
        "int8_p50_ms": theirs,
        "ratio": median(ratios),
        "compared": found.compared._asdict(),
        "pairs": len(found.pairs),
        "validity": found.validity()._asdict(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fp32", type=Path)
    parser.add_argument("int8", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--budget-s", type=float, default=120)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    report: dict[str, Any] = {
        "command": f"python benchmarks/kernels/run.py {given.fp32.name} {given.int8.name} --output {given.output}",
        "size_ratio": given.int8.stat().st_size / given.fp32.stat().st_size,
        "machine": fingerprint.collect_host_facts(),
        "versions": fingerprint.list_engine_versions(),
        "engines": {},
    }
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        for runtime in RUNTIMES:
            folder = Path(scratch) / runtime
            fp32, plain = built(given.fp32, runtime, "fp32", folder / "fp32")
            int8, told = built(given.int8, runtime, "int8", folder / "int8")
            kernels, islands = told["kernels"], told.get("islands", [])
            print(f"{runtime}: {', '.join(f'{n} x {kind}' for kind, n in kernels.items())}")
            for island in islands:
                print(f"  {island['node']} ({island['op']}): {island['cause']}")
            row = {"fp32_kernels": plain["kernels"], "kernels": kernels, "islands": islands}
            report["engines"][runtime] = {**row, "threads": {}}
            for threads in given.threads:
                ratio = compared(fp32, int8, threads, given.pairs, given.budget_s)
                report["engines"][runtime]["threads"][str(threads)] = ratio
                said = ratio.get("ratio")
                print(f"  {threads} threads: int8 / fp32 {said:.3f}" if said else f"  {ratio}")
    if given.output:
        files.write_bytes(given.output, json.dumps(report, indent=1, default=str).encode() + b"\n")


if __name__ == "__main__":
    main()
