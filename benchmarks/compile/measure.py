"""Where torch.compile pays on this machine: the trial that `compile: auto` makes, of several models.

    python benchmarks/compile/measure.py --output benchmarks/compile/result.json

Each row is one trial in a process of its own: seconds of compilation (cold cache), of an eager and of a compiled
training step (the fastest of four, in turns), and after how many steps the first is paid back. Channels last; batch 64
at 32x32, 8 at 224x224. Written after every row; rows that the
output holds already are kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import torch

from edgekd.cores import count_cores
from edgekd.interface import image_classifier
from edgekd.learn import compile_trial
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.compilation import CACHE_VARIABLE
from edgekd.learn.compiler import find_compiler
from edgekd.learn.settings import Arithmetic

MODELS = ("resnet8", "resnet20", "mobilenetv2", "vit-tiny")
BATCHES = {32: 64, 224: 8}
ALLOWED_S = 900.0


def measure(name: str, size: int, precision: Any, threads: int) -> dict[str, Any]:
    ends = image_classifier(classes=10, channels=3, height=size, width=size)
    plan = Blueprint(builder=name, arguments={}, interface=ends)
    resolved = Arithmetic(precision=precision, channels_last=True, threads=threads)
    row: dict[str, Any] = {
        "model": name,
        "size": size,
        "batch": BATCHES[size],
        "precision": precision,
    }
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CACHE_VARIABLE] = folder
        tried = compile_trial.try_compiling(plan, BATCHES[size], resolved, Path(folder), ALLOWED_S)
    if isinstance(tried, str):
        return row | {"refused": tried}
    row |= {key: round(value, 5) for key, value in tried._asdict().items()}
    row["ratio"] = round(tried.eager_s / tried.compiled_s, 3)
    saved_s = tried.eager_s - tried.compiled_s
    row["steps_to_pay"] = round(tried.compile_s / saved_s) if saved_s > 0 else None
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=count_cores())
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.output.is_file():
        rows = json.loads(options.output.read_text())["rows"]
    there = {(row["precision"], row["size"], row["model"]) for row in rows}
    for precision, size, name in itertools.product(("fp32", "bf16"), BATCHES, MODELS):
        if (precision, size, name) in there:
            continue
        rows.append(measure(name, size, precision, options.threads))
        print(json.dumps(rows[-1]), flush=True)
        about = {
            "torch": torch.__version__,
            "compiler": find_compiler(),
            "machine": platform.machine(),
        }
        command = f"python benchmarks/compile/measure.py --threads {options.threads}"
        result = {"command": command, "threads": options.threads}
        options.output.write_text(json.dumps(result | about | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
