"""What a run costs beside its learning: seconds and CPU-seconds of every step of a recipe, from an empty store.

    python benchmarks/fixed_costs/measure.py [RECIPE] [--repeats 2] [--label NAME] [--set KEY=VALUE ...]

Each repeat is a fresh process with a store of its own. CPU-seconds are the process's and its workers'. What is in no
step (starting, planning, asking the machine what it is, filling the run folder) stands as `outside`, with the
CPU-seconds of the second process: what that makes beside a training is a step here only where it was waited for. The
medians go to `result.json` beside this file, under the label. Modules are compiled before, as an installation does it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LEARNING = ("tune", "teacher", "control", "student", "knowledge", "distil", "quantize")
"""Beginnings of the labels whose steps depend on learning."""
RUNNER = """
import json, os, sys, time
from edgekd import walk
from edgekd.cli import run

def cpu_s():
    return sum(os.times()[:4])

make = walk.Walker._make
def timed(self, step, *rest):
    wall, cpu = time.monotonic(), cpu_s()
    entry = make(self, step, *rest)
    with open(sys.argv[1], "a") as file:
        file.write(json.dumps([step.label, time.monotonic() - wall, cpu_s() - cpu]) + "\\n")
    return entry
walk.Walker._make = timed
run(sys.argv[2:])
"""


def steps_of(recipe: str, changes: list[str]) -> dict[str, list[float]]:
    """By label, seconds and CPU-seconds of one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, places = folder / "log", ["--run-dir", str(folder / "run"), "--store", name + "/store"]
        more = [part for change in changes for part in ("--set", change)]
        before, began = os.times(), time.monotonic()
        order = [sys.executable, "-c", RUNNER, str(log), "compress", recipe, *places, *more]
        done = subprocess.run(order, cwd=ROOT, capture_output=True, text=True, check=False)
        wall, after = time.monotonic() - began, os.times()
        if done.returncode not in (0, 1, 5):  # a budget may be missed
            raise SystemExit(done.stderr[-2000:])
        rows = [json.loads(line) for line in log.read_text().splitlines()]
    cpu = sum(after[2:4]) - sum(before[2:4])
    steps = {label: [one, two] for label, one, two in rows}
    sums = [sum(column) for column in zip(*steps.values(), strict=True)]
    return {**steps, "outside": [wall - sums[0], cpu - sums[1]]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe", nargs="?", default="pipelines/quickstart.yaml")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--label", default="now")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    runs = [steps_of(asked.recipe, asked.set) for _ in range(asked.repeats)]
    labels = dict.fromkeys(label for run in runs for label in run)
    nothing = [0.0, 0.0]
    found: dict[str, Any] = {
        label: {
            "seconds": round(statistics.median(run.get(label, nothing)[0] for run in runs), 2),
            "cpu_seconds": round(statistics.median(run.get(label, nothing)[1] for run in runs), 2),
        }
        for label in labels
    }
    fixed = [label for label in found if not label.startswith(LEARNING)]
    for unit in ("seconds", "cpu_seconds"):
        found.setdefault("all", {})[unit] = round(sum(found[k][unit] for k in labels), 2)
        found.setdefault("not learning", {})[unit] = round(sum(found[k][unit] for k in fixed), 2)
    goal = HERE / "result.json"
    stored = json.loads(goal.read_text()) if goal.exists() else {}
    command = "python " + " ".join(sys.argv)
    stored[asked.label] = {"command": command, "repeats": asked.repeats, "steps": found}
    goal.write_text(json.dumps(stored, indent=1) + "\n")
    for label, row in found.items():
        print(f"{label:32}{row['seconds']:8.2f} s{row['cpu_seconds']:8.2f} CPU-s")


if __name__ == "__main__":
    main()
