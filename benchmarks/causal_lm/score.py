"""What a score costs beside one prefill: the worker's job over some texts, and a plain session over the same batches, in turns.

    python benchmarks/causal_lm/score.py RUNS --output benchmarks/causal_lm/score.json

RUNS is what run_recipe.py filled. Each is a process of its own on one thread; `cpu_s` are processor seconds behind the loading
of the model, which other work on the machine lengthens least, `peak_bytes` the process's peak of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import dataset
from edgekd import splits
from edgekd.bench import jobs
from edgekd.bench import score_job
from edgekd.bench.input_rows import fit_inputs
from edgekd.bench.outputs import batch_rows
from edgekd.bench.outputs import count_values
from edgekd.task import count_output_values
from edgekd.tasks import load_task

COMMAND = "python benchmarks/causal_lm/score.py RUNS --output benchmarks/causal_lm/score.json"
MODELS = {"fp32": "student.onnx", "int4": "student-weight-blocks.onnx"}
ROWS, TURNS = 40, 3
"""Texts of 128 tokens, and how often each is timed."""


def find_data(runs: Path) -> tuple[Path, dict[str, Any]]:
    """The test split of a run, and what data.json says."""
    files = json.loads((runs / "run" / "result.json").read_text())["lineage"]["data"]["files"]
    path = {name: runs / "store" / "cas" / digest[:2] / digest for name, digest in files.items()}
    return path["test"], json.loads(path["data.json"].read_text())


def run_one(kind: str, model: str, runs: Path) -> dict[str, float]:
    """Score, or answer alone, in this process."""
    split, described = find_data(runs)
    data = dataset.from_json(described)
    rows = {name: each[:ROWS] for name, each in splits.read(split).items()}
    values = sum(count_values(rows[name]) for name in data.inputs)
    batch = batch_rows(values, count_output_values(load_task(data.task), data, rows))
    began = 0.0

    def say(phase: str) -> None:
        nonlocal began
        if phase == "inference":
            began = time.process_time()

    with tempfile.TemporaryDirectory() as folder:
        spec = {
            "runtime": "onnxruntime",
            "precision": "fp32",
            "threads": 1,
            "files": {"model.onnx": str(runs / "run" / "models" / model)},
            "batch": batch,
            "split": str(split),
            "rows": [0, ROWS],
            "data": described,
            "goal": str(Path(folder) / "rows"),
        }
        if kind == "score":
            score_job.run_score(spec, say, 0)
        else:
            session = jobs.load_session({**spec, "batch": None}, say)
            inputs = {name: rows[name] for name in data.inputs}
            say("inference")
            for numbers in score_job.plan_batches(inputs, ROWS, batch):
                part = {name: each[np.asarray(numbers)] for name, each in inputs.items()}
                session.run(fit_inputs(data.prepare_inputs(part), session))
    took_s = time.process_time() - began
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"cpu_s": took_s, "peak_bytes": peak_bytes, "batch": batch}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "MODEL"))
    said = parser.parse_args()
    if said.one:
        kind, model = said.one
        print(json.dumps(run_one(kind, model, said.runs)))
        return
    rows = []
    for precision, model in MODELS.items():
        took: dict[str, list[dict[str, float]]] = {"plain": [], "score": []}
        for _ in range(TURNS):
            for kind, found in took.items():
                command = [sys.executable, __file__, str(said.runs), "--one", kind, model]
                threads = {**os.environ, "OMP_NUM_THREADS": "1"}
                printed = subprocess.check_output(command, text=True, env=threads)
                found.append(json.loads(printed.splitlines()[-1]))
        pairs = zip(took["score"], took["plain"], strict=True)
        ratios = sorted(score["cpu_s"] / plain["cpu_s"] for score, plain in pairs)
        rows.append(
            {
                "precision": precision,
                "ratio": statistics.median(ratios),
                "ratios": ratios,
                **took,
            }
        )
    result = {"command": COMMAND, "texts": ROWS, "rows": rows}
    said.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
