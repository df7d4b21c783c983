"""The quickstart from an empty store, with two installations of edgekd in turn: seconds, CPU-seconds, same bytes.

    python benchmarks/quickstart/measure.py --before BEFORE/.venv/bin/python --after .venv/bin/python \
        [--repeats 2] [--output benchmarks/quickstart/time.json]

Each run is a fresh process in an empty folder; `again` is the same command once more. CPU-seconds are those of the
process and of all it starts. Modules are compiled before, as an installation does it. What may differ between runs is
the time alone: the digests of the student's weights and of both ONNX files must agree. `beside_to_alone` compares, by
subject, the latencies of processes that started beside another with those that started alone.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SAME = ("student.safetensors", "models/student.onnx", "models/teacher.onnx")
WHERE = "import edgekd, pathlib; print(pathlib.Path(edgekd.__file__).parent)"


def run_once(python: str, folder: Path) -> dict[str, float]:
    """Seconds and CPU-seconds of one quickstart in `folder`."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    recipe = str(ROOT / "pipelines" / "quickstart.yaml")
    order = [python, "-m", "edgekd", "compress", recipe, "--run-dir", "run", "--store", "store"]
    before, began = os.times(), time.monotonic()
    subprocess.run(order, cwd=folder, env=environment, capture_output=True, check=True)
    wall, after = time.monotonic() - began, os.times()
    return {"seconds": wall, "cpu_seconds": sum(after[2:4]) - sum(before[2:4])}


def measure(python: str) -> dict[str, Any]:
    """One run and the same once more; durations by stage, digests of what has to be the same."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fresh, again = run_once(python, folder), run_once(python, folder)
        made = json.loads((folder / "run" / "result.json").read_text())
        digests = {
            file: hashlib.sha256((folder / "run" / file).read_bytes()).hexdigest() for file in SAME
        }
        beside = compare_beside(folder)
    about = {"durations_s": made["durations_s"], "digests": digests, "beside_to_alone": beside}
    return {**fresh, "again": again, **about}


def compare_beside(folder: Path) -> dict[str, float]:
    """By subject, the median latency of the processes that started beside another over that of those alone."""
    (raw,) = folder.glob("store/cas/*/" + read_lineage(folder)["raw.json.gz"])
    subjects = json.loads(gzip.decompress(raw.read_bytes()))["subjects"]
    found = {}
    for name, subject in subjects.items():
        medians: dict[bool, list[float]] = {True: [], False: []}
        for process in subject["processes"]:
            medians[bool(process["cold_ms"])].append(statistics.median(process["iters_ns"]))
        if all(medians.values()):
            found[name] = statistics.median(medians[False]) / statistics.median(medians[True])
    return found


def read_lineage(folder: Path) -> dict[str, str]:
    """Digests of what the measurement gave."""
    files = json.loads((folder / "run" / "result.json").read_text())["lineage"]["measure"]["files"]
    return dict(files)


def summarize(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians, and every run's seconds."""
    return {
        "seconds": round(statistics.median(run["seconds"] for run in runs), 2),
        "each_seconds": [round(run["seconds"], 2) for run in runs],
        "cpu_seconds": round(statistics.median(run["cpu_seconds"] for run in runs), 2),
        "again_seconds": round(statistics.median(run["again"]["seconds"] for run in runs), 2),
        "again_each_seconds": [round(run["again"]["seconds"], 2) for run in runs],
        "durations_s": runs[-1]["durations_s"],
        "beside_to_alone": runs[-1]["beside_to_alone"],
        "digests": runs[-1]["digests"],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", required=True, help="a Python that has the edgekd of before")
    parser.add_argument("--after", default=sys.executable)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "time.json")
    parser.add_argument("--note", default="")
    asked = parser.parse_args()
    pythons = {"before": asked.before, "after": asked.after}
    for python in pythons.values():
        place = subprocess.check_output([python, "-c", WHERE], cwd="/", text=True).strip()
        subprocess.run([python, "-m", "compileall", "-q", place], check=True)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in pythons}
    for _ in range(asked.repeats):
        for name, python in pythons.items():
            runs[name].append(measure(python))
            print(name, {k: runs[name][-1][k] for k in ("seconds", "cpu_seconds", "again")})
    digests = [run["digests"] for each in runs.values() for run in each]
    command = "python benchmarks/quickstart/measure.py --before BEFORE/.venv/bin/python"
    report = {
        "command": f"{command} --repeats {asked.repeats}",
        "note": asked.note,
        "same_bytes": all(each == digests[0] for each in digests),
        **{name: summarize(each) for name, each in runs.items()},
    }
    report["ratio"] = round(report["after"]["seconds"] / report["before"]["seconds"], 3)
    asked.output.write_text(json.dumps(report, indent=1) + "\n")
    print(report["ratio"], report["same_bytes"])


if __name__ == "__main__":
    main()
