"""Twelve students by one sweep against separate runs of the same settings, each with a store of its own.

    python benchmarks/sweep/measure.py [--separate 12]

The recipe is the quickstart's with its own teacher, students of 20 epochs and a short measurement; the sweep goes over
three widths, two temperatures and two learning rates. `--separate N` runs N of the twelve, evenly spaced, and takes
their mean for the others. Seconds of wall clock and of CPU, workers included, go to `result.json` beside this file.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECIPE = ROOT / "pipelines" / "quickstart.yaml"
SETTINGS = (
    "student.train.epochs=20",
    "targets=[{runtime: onnxruntime, precision: [fp32], threads: [1]}]",
    "measure.processes_max=6",
    "measure.min_time_s=0.02",
    "measure.max_time_s=0.1",
    "budget={latency_p50_ms: 5}",
)
OVER = {
    "student.model.base": ("4", "8", "12"),
    "learn.0.losses.0.temperature": ("2", "4"),
    "student.train.learning_rate": ("0.03", "0.1"),
}
COUNT = 12


class Spent(NamedTuple):
    """What a command took."""

    wall_s: float
    cpu_s: float


def spend(*arguments: str) -> Spent:
    """Run the command line in a fresh process."""
    before, began = os.times(), time.monotonic()
    command = [sys.executable, "-m", "edgekd", "-q", *arguments]
    for setting in SETTINGS:
        command += ["--set", setting]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1, 5):  # a budget may be missed
        raise SystemExit(done.stderr[-2000:])
    after = os.times()
    cpu_s = after.children_user + after.children_system
    return Spent(time.monotonic() - began, cpu_s - before.children_user - before.children_system)


def run_separate(folder: Path, values: tuple[str, ...]) -> Spent:
    """One of the settings as a run of its own."""
    sets = [part for pair in zip(OVER, values, strict=True) for part in ("--set", "=".join(pair))]
    places = ["--store", str(folder / "store"), "--run-dir", str(folder / "run")]
    return spend("compress", str(RECIPE), *places, *sets)


def run_sweep(folder: Path) -> Spent:
    """All of them."""
    over = [
        part for key, values in OVER.items() for part in ("--over", f"{key}={','.join(values)}")
    ]
    places = ["--store", str(folder / "store"), "--sweep-dir", str(folder / "sweep")]
    spent = spend("sweep", str(RECIPE), *places, *over)
    done = len(json.loads((folder / "sweep" / "sweep.json").read_bytes())["settings"])
    assert done == COUNT, f"{done} settings were done"
    return spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--separate", type=int, default=COUNT)
    parser.add_argument("--out", type=Path, default=HERE / "result.json")
    arguments = parser.parse_args()
    every = list(itertools.product(*OVER.values()))
    chosen = every[:: max(1, COUNT // arguments.separate)][: arguments.separate]
    separate: list[Spent] = []
    half = len(chosen) // 2
    with tempfile.TemporaryDirectory() as name:  # half before and half after: the machine drifts
        separate += [
            run_separate(Path(name) / f"a{n}", each) for n, each in enumerate(chosen[:half])
        ]
        swept = run_sweep(Path(name) / "swept")
        separate += [
            run_separate(Path(name) / f"b{n}", each) for n, each in enumerate(chosen[half:])
        ]
    means = [sum(column) / len(separate) for column in zip(*separate, strict=True)]
    value = {
        "command": f"python benchmarks/sweep/measure.py --separate {arguments.separate}",
        "settings": COUNT,
        "separate_runs_measured": len(separate),
        "separate": [each._asdict() for each in separate],
        "separate_all": Spent(*(COUNT * mean for mean in means))._asdict(),
        "sweep": swept._asdict(),
        "ratio_wall": swept.wall_s / (COUNT * means[0]),
        "ratio_cpu": swept.cpu_s / (COUNT * means[1]),
        "goal": 0.5,
        "load_15_minutes": os.getloadavg()[2],
    }
    arguments.out.write_text(json.dumps(value, indent=2) + "\n")
    print(json.dumps(value, indent=2))


if __name__ == "__main__":
    main()
