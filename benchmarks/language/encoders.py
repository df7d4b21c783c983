"""What a small encoder gains by what lies inside its teacher, beside its answers alone.

An encoder over bytes (three layers, 64 wide) teaches one of a layer, 32 wide, the section of a package from its description
(examples/package-sections). All rows have the same batches, rates and epochs; accuracy on the test split.

    python benchmarks/language/encoders.py --store benchmarks/language/encoders.json

With ``--work FOLDER`` a run that was ended goes on with the models there.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import SEEDS
from measure import TEXTS
from measure import WORDS
from measure import Bench
from measure import load

from edgekd import splits
from edgekd.learn.answers import compute_outputs
from edgekd.stages import data

SOURCE = {"name": "jsonl", "reference": str(TEXTS), "longest": 64}
TEACHER = {"name": "text-encoder", "layers": 3, "width": 64, "heads": 4}
STUDENT = {"name": "text-encoder", "layers": 1, "width": 32, "heads": 4}
TRAIN = {**WORDS, "epochs": 6, "learning_rate": 0.004, "batch_size": 64}
KD = {"name": "kd", "weight": 0.9, "temperature": 4.0}
LABELS = {"name": "cross-entropy", "weight": 0.1}
ROWS: dict[str, list[dict[str, Any]]] = {
    "answers": [KD, LABELS],
    "answers, cosine of the last states": [KD, LABELS, {"name": "cosine", "layers": "hidden:last"}],
    "answers, hidden states": [KD, LABELS, {"name": "fitnet", "layers": "hidden", "weight": 1.0}],
    "answers, attention and value relations": [
        KD,
        LABELS,
        {"name": "attention-kl"},
        {"name": "minilm", "layers": "values:last", "heads": 4},
    ],
    "answers, relations of queries, keys and values": [KD, LABELS, {"name": "minilm", "heads": 4}],
}


def score(bench: Bench, made: dict[str, Path]) -> float:
    """Accuracy on the test split."""
    rows = splits.read(bench.test)
    inputs = {name: rows[name] for name in bench.dataset.inputs}
    logits = compute_outputs(load(made), inputs, bench.dataset, ["logits"])["logits"]
    return float((logits.argmax(1) == np.asarray(rows["labels"])).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--work", type=Path)
    torch.set_num_threads(1)
    said = parser.parse_args()
    config = data.DataConfig(source=SOURCE, task="classification")
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Bench(said.work or Path(folder), config))
    by = {(row["row"], row["seed"]): row["accuracy"] for row in rows}
    told = []
    for name, other in [(name, "control") for name in ROWS] + [
        (name, "answers") for name in ROWS if name != "answers"
    ]:
        apart = [by[name, seed] - by[other, seed] for seed in SEEDS]
        half = 4.303 * statistics.stdev(apart) / math.sqrt(len(apart))
        mean = statistics.mean(apart)
        told.append(
            {"row": name, "beside": other, "mean": mean, "ci95": [mean - half, mean + half]}
        )
    said.store.write_text(json.dumps({"rows": rows, "differences": told}, indent=1) + "\n")
    print(json.dumps(told, indent=1))


def measure(bench: Bench) -> list[dict[str, Any]]:
    teacher = bench.train(TEACHER, TRAIN, 0)
    rows: list[dict[str, Any]] = [{"row": "teacher", "seed": 0, "accuracy": score(bench, teacher)}]
    for seed in SEEDS:
        made = {"control": bench.train(STUDENT, TRAIN, seed)}
        for name, losses in ROWS.items():
            made[name] = bench.distil(losses, TRAIN, teacher, seed, model=STUDENT)
        rows += [{"row": n, "seed": seed, "accuracy": score(bench, m)} for n, m in made.items()]
        print(json.dumps(rows[-len(made) :]), flush=True)
    return rows


if __name__ == "__main__":
    main()
