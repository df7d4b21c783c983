"""Accuracy of students from 8 stored views, and from a new view in every epoch with the teacher asked live.

    python benchmarks/training/views.py WORK --data FOLDER --seeds 0 1 2 --output benchmarks/training/views.json

Both hear the same teacher and differ by nothing but the number of views; each seed has its own views, order and
first weights. Answers, checkpoints and results are kept in WORK, so that a run goes on where another stopped.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import numpy as np
import pair
import torch
from torch import nn

from edgekd.learn import teacher_answers
from edgekd.learn.method import teacher as finished
from edgekd.learn.schemes.offline import offline
from edgekd.progress import Silent

VIEWS, LAST = 8, 3
"""Stored views; epochs at the end whose mean score counts, for one alone is noisy."""


def run(
    teacher: nn.Module,
    data: tuple[np.ndarray, ...],
    epochs: int,
    seed: int,
    folder: Path,
    *,
    stored: bool,
) -> float:
    """The student's validation accuracy, mean of the last epochs; what is in `folder` already is gone on from."""
    samples = pair.make_samples(*data[:2], views=VIEWS if stored else epochs, seed=seed)
    score = pair.make_score(*data[2:], half=True, layout=torch.channels_last)
    teacher = teacher.to(memory_format=torch.channels_last)
    if stored:
        answers_file = folder / "knowledge.npy"
        if not answers_file.exists():
            unfinished = folder / "unfinished.npy"
            teacher_answers.write_knowledge(teacher, samples, unfinished, pair.FAST, Silent())
            unfinished.rename(answers_file)
        teach = finished.read_teacher(np.load(answers_file, mmap_mode="r", allow_pickle=False))
    else:
        teach = finished.run_teacher(teacher, torch.bfloat16)
    student = pair.build(pair.STUDENT, seed + 100)
    rows = pair.train(student, samples, offline(teach), pair.KD, epochs, seed, folder, score)
    return statistics.fmean(row["score"] for row in rows[-LAST:])


def main() -> None:
    parser = pair.parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = pair.read_data(options.data, options.samples)
    teacher = pair.find_teacher(options.work, data)
    scores: dict[str, list[float]] = {"stored": [], "live": []}
    for seed in options.seeds:
        for name, reached in scores.items():
            folder = options.work / f"{name}-{seed}-{options.samples}-{options.epochs}"
            folder.mkdir(exist_ok=True)
            kept = folder / "accuracy.json"
            if not kept.exists():
                value = run(teacher, data, options.epochs, seed, folder, stored=name == "stored")
                kept.write_text(json.dumps(value))
            reached.append(json.loads(kept.read_text()))
            print(name, seed, reached[-1], flush=True)
    differences = [a - b for a, b in zip(scores["stored"], scores["live"], strict=True)]
    mean = {name: statistics.fmean(values) for name, values in scores.items()}
    report = {
        "command": "python " + " ".join(sys.argv),
        "samples": options.samples,
        "epochs": options.epochs,
        "views": {"stored": VIEWS, "live": options.epochs},
        "accuracy": scores,
        "mean": mean,
        "stored - live": {"mean": statistics.fmean(differences), "by seed": differences},
        "spread of seeds (max - min)": {n: max(v) - min(v) for n, v in scores.items()},
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
