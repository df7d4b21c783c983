"""Does a comparison of identical models ever call one faster or slower?

    python benchmarks/bench_trust/aa.py --runs 60 --output benchmarks/bench_trust/aa.json

Each run is what `edgekd bench compare A A` does, with another seed: fresh processes of a real engine. 60 runs of 15
pairs take about 25 minutes. Without --model the built-in one of `edgekd bench --self-check` is taken.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from edgekd.bench import user_models
from edgekd.bench.machine import canary
from edgekd.bench.pair import comparison
from edgekd.bench.pair import reference_model
from edgekd.bench.pair.run import PairedRun
from edgekd.bench.pair.run import PairRules
from edgekd.bench.pair.run import run_pairs
from edgekd.bench.session import Subject


def subject(
    model: Path | None, runtime: str, folder: Path, layers: int = reference_model.LAYERS
) -> Subject:
    """A model to run: the given one, or the built-in one of so many layers."""
    folder.mkdir(parents=True)
    if model is None:
        model = folder / "yardstick.onnx"
        model.write_bytes(reference_model.make_model(layers))
    return compiled(model, runtime, folder)


def compiled(model: Path, runtime: str, folder: Path, threads: int = 1) -> Subject:
    """A model made ready for one engine."""
    ask = user_models.MeasureRequest((runtime,), ("fp32",), (threads,), 1, 600.0)
    return next(user_models.prepare_subjects([model], ask, folder)).subject


def row(found: PairedRun, seconds: float) -> dict[str, Any]:
    """One comparison, with the raw log-ratios and what the machine did."""
    assert found.compared is not None, found.failure
    return {
        "seed": found.rules.seed,
        "verdict": found.compared.verdict,
        "ratio": found.compared.ratio,
        "interval": found.compared.interval,
        "drifting": found.compared.drifting,
        "log_ratios": found.log_ratios(),
        "order": found.order,
        "median_ms": [sorted(side)[len(side) // 2] / 1e6 for side in found.medians_ns()],
        "canary_variation": canary.compute_variation(found.snapshot_log.canaries_ns),
        "validity": found.validity()._asdict(),
        "seconds": seconds,
    }


def add_options(parser: argparse.ArgumentParser, runs: int) -> None:
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--pairs", type=int, default=comparison.PAIRS)
    parser.add_argument("--delta", type=float, default=comparison.DELTA)
    parser.add_argument("--runtime", default="onnxruntime")
    parser.add_argument("--seed", type=int, default=0, help="of the first run; each has its own")
    parser.add_argument("--output", type=Path)


def repeated(
    given: argparse.Namespace, a: Subject, b: Subject, **more: Any
) -> list[dict[str, Any]]:
    """All runs, each told as it ends."""
    rows = []
    for number in range(given.runs):
        began = time.perf_counter()
        rules = PairRules(
            pairs=given.pairs, delta=given.delta, memory=False, seed=given.seed + number
        )
        rows.append(row(run_pairs(a, b, rules, **more), time.perf_counter() - began))
        shown = {key: rows[-1][key] for key in ("verdict", "ratio", "interval", "seconds")}
        print(number + 1, json.dumps(shown), flush=True)
    return rows


def counted(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How often each verdict fell."""
    verdicts = [one["verdict"] for one in rows]
    return {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}


def write(report: dict[str, Any], output: Path | None) -> None:
    """The report, beside the command that made it."""
    report = {"command": "python " + " ".join(sys.argv), **report}
    if output is not None:
        output.write_text(json.dumps(report, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an ONNX file or a bundle")
    add_options(parser, runs=60)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        one = subject(given.model, given.runtime, Path(folder) / "a")
        rows = repeated(given, one, one)
    wrong = sum(one["verdict"] in ("faster", "slower") for one in rows)
    report = {
        "goal": "at most 1 of 60 called faster or slower",
        "runs": len(rows),
        "called_faster_or_slower": wrong,
        "verdicts": counted(rows),
        "delta": given.delta,
        "pairs": given.pairs,
        "rows": rows,
    }
    print(f"{wrong} of {len(rows)} called faster or slower; {counted(rows)}")
    write(report, given.output)


if __name__ == "__main__":
    main()
