"""Processor time to the same validation score: edgekd from stored answers, and the usual online loop.

    python benchmarks/training/score.py WORK --data FOLDER --output benchmarks/training/score.json

The usual loop runs its teacher at each step; it is written by hand on whole batches, so nothing but its work is
measured, once in float32 and NCHW, once in bf16 and channels_last. Student ResNet-8 of width 16, teacher of width 64.
All validate after each epoch, and the clock stands still while they do. The target is, of each seed and usual loop, the lower of its and edgekd's best scores, so
both reach it. Process time of one thread, a process a loop: others use the machine, too. Curves are kept in WORK, so that a run
goes on where another stopped.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pair
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.learn import teacher_answers
from edgekd.learn.method import teacher as finished
from edgekd.learn.method.schedule import learning_rate
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Training
from edgekd.progress import Silent

VIEWS, SWEEP = 8, 12
NETWORKS = ("resnet8", {"base": 16}), ("resnet8", {"base": 64})
"""Student and teacher: 15.9 times the MACs."""
ONLINE = {"online, bf16, channels_last": True, "online, fp32, NCHW": False}
NAMES = ("edgekd", *ONLINE)
COSTS = {"answers in the store": 0.0, f"build shared by {SWEEP} students": 1 / SWEEP}
COSTS |= {"build paid by one student": 1.0}
"""Which share of the answers' building a student pays."""
Curve = list[tuple[float, float, float]]
"""After each epoch: seconds of training, seconds of validation, score."""


def train_online(
    teacher: nn.Module, data: tuple[np.ndarray, ...], epochs: int, seed: int = 1, *, fast: bool
) -> Curve:
    """The usual loop: the teacher's forward pass at each step."""
    layout = torch.channels_last if fast else torch.contiguous_format
    score = pair.make_score(*data[2:], half=fast, layout=layout)
    student = pair.build(pair.STUDENT, seed).to(memory_format=layout)
    teacher = teacher.to(memory_format=layout).eval()
    images, labels = (torch.from_numpy(each) for each in data[:2])
    decayed = [p for p in student.parameters() if p.ndim > 1]
    rest = [p for p in student.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": pair.DECAY},
        {"params": rest, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, lr=pair.RATE, momentum=0.9, nesterov=True)
    training = Training(epochs=epochs, batch_size=pair.BATCH, learning_rate=pair.RATE)
    steps, step, curve = len(images) // pair.BATCH * epochs, 0, Curve()
    torch.manual_seed(seed)
    point = make_clock(score, curve)
    for _ in range(epochs):
        student.train()
        for rows in torch.randperm(len(images)).split(pair.BATCH):
            if len(rows) < pair.BATCH:
                break
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(training, step / steps)
            x = augment(images[rows]).contiguous(memory_format=layout)
            with torch.autocast("cpu", torch.bfloat16, enabled=fast):
                with torch.no_grad():
                    told = teacher(x).float()
                z = student(x).float()
            loss = kd_loss(z, told, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        point(student)
    return curve


def make_clock(score: Callable[[nn.Module], float], curve: Curve) -> Callable[[nn.Module], float]:
    """Start the clock; return a function that validates a model and adds a point to the curve."""
    start = time.process_time()

    def point(model: nn.Module) -> float:
        now, validated_s = time.process_time(), curve[-1][1] if curve else 0.0
        reached = score(model)
        after = validated_s + time.process_time() - now
        curve.append((now - start - validated_s, after, reached))
        return reached

    return point


def kd_loss(z: torch.Tensor, told: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    t = pair.TEMPERATURE
    far = F.kl_div(
        F.log_softmax(z / t, 1), F.log_softmax(told / t, 1), reduction="batchmean", log_target=True
    )
    return 0.1 * F.cross_entropy(z, labels) + 0.9 * t**2 * far


def augment(x: torch.Tensor) -> torch.Tensor:
    """Flip and crop of [B, 28, 28, 1]; float32 [B, 1, 28, 28], normalised."""
    count, edge = len(x), pair.BORDER
    x = F.pad(x[..., 0], (edge, edge, edge, edge))
    rows = torch.randint(0, 2 * edge + 1, (count,))[:, None] + torch.arange(28)
    columns = torch.randint(0, 2 * edge + 1, (count,))[:, None] + torch.arange(28)
    columns = torch.where(torch.rand(count)[:, None] < 0.5, columns.flip(1), columns)
    x = x[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return ((x.float() / 255 - pair.MEAN) / pair.STD)[:, None]


def train_stored(
    teacher: nn.Module, data: tuple[np.ndarray, ...], epochs: int, seed: int
) -> tuple[float, Curve]:
    """Seconds of building the answers, and the curve of edgekd's own loop that reads them."""
    samples = pair.make_samples(*data[:2], views=VIEWS, seed=seed)
    score = pair.make_score(*data[2:], half=True, layout=torch.channels_last)
    teacher = teacher.to(memory_format=torch.channels_last).eval()
    curve = Curve()
    with tempfile.TemporaryDirectory() as folder:
        path, start = Path(folder) / "knowledge.npy", time.process_time()
        teacher_answers.write_knowledge(teacher, samples, path, pair.FAST, Silent())
        built_s = time.process_time() - start
        stored = finished.read_teacher(np.load(path, mmap_mode="r", allow_pickle=False))
        student, point = pair.build(pair.STUDENT, seed), make_clock(score, curve)
        pair.train(student, samples, offline(stored), pair.KD, epochs, seed, Path(folder), point)
    return built_s, curve


def prepare(options: Namespace) -> tuple[nn.Module, tuple[np.ndarray, ...]]:
    """The trained teacher, and the data."""
    torch.set_num_threads(1)
    pair.STUDENT, pair.TEACHER = NETWORKS
    data = pair.read_data(options.data, options.samples)
    return pair.find_teacher(options.work, data), data


def run(options: Namespace, seed: int, name: str) -> tuple[float, Curve]:
    """Seconds of building the answers, 0 for an online loop, and the curve of one loop."""
    teacher, data = prepare(options)
    if name == "edgekd":
        return train_stored(teacher, data, options.epochs, seed)
    return 0.0, train_online(teacher, data, options.epochs, seed, fast=ONLINE[name])


def keep_run(options: Namespace, seed: int, name: str) -> tuple[float, Curve]:
    """As `run`, in a process of its own, or as it is kept in the folder."""
    place = f"{name}-{seed}-{options.samples}-{options.epochs}.json"
    path = options.work / place.replace(", ", "-")
    if not path.exists():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            path.write_text(json.dumps(pool.submit(run, options, seed, name).result()))
        print(path.stem, json.loads(path.read_text())[1][-1], flush=True)
    built_s, curve = json.loads(path.read_text())
    return built_s, curve


def seconds_to(curve: Curve, target: float) -> float:
    """Seconds of training alone."""
    return next(second for second, _, score in curve if score >= target)


def compare(runs: dict[str, tuple[float, Curve]]) -> dict[str, object]:
    """One seed: of each usual loop, how many times as long it takes as edgekd, and what the building changes."""
    curves, built_s = {name: curve for name, (_, curve) in runs.items()}, runs["edgekd"][0]
    best = {name: max(score for *_, score in curve) for name, curve in curves.items()}
    targets = {name: min(best[name], best["edgekd"]) for name in ONLINE}
    ends = {n: [seconds_to(curves[each], t) for each in (n, "edgekd")] for n, t in targets.items()}
    whole = {name: curve[-1][0] for name, curve in curves.items()}
    validated = {name: sum(curve[-1][:2]) for name, curve in curves.items()}
    return {
        "best_score": best,
        "target_score": targets,
        "seconds_to_target": {name: {"usual": a, "edgekd": b} for name, (a, b) in ends.items()},
        "build_s": built_s,
        "faster_to_target": {
            name: {cost: usual_s / (ours_s + built_s * share) for cost, share in COSTS.items()}
            for name, (usual_s, ours_s) in ends.items()
        },
        "faster_whole_run": {
            name: {
                cost: whole[name] / (whole["edgekd"] + built_s * share)
                for cost, share in COSTS.items()
            }
            for name in ONLINE
        },
        "faster_with_validation": {name: validated[name] / validated["edgekd"] for name in ONLINE},
        "curves_s_and_score": curves,
    }


def summarize(seeds: list[dict[str, object]]) -> dict[str, object]:
    """Median, smallest and largest over the seeds."""

    def spread(values: list[float]) -> dict[str, float]:
        return {"median": statistics.median(values), "min": min(values), "max": max(values)}

    return {
        **{
            key: {
                name: {cost: spread([s[key][name][cost] for s in seeds]) for cost in COSTS}
                for name in ONLINE
            }
            for key in ("faster_to_target", "faster_whole_run")
        },
        "faster_with_validation": {
            name: spread([s["faster_with_validation"][name] for s in seeds]) for name in ONLINE
        },
        "best_score": {name: spread([s["best_score"][name] for s in seeds]) for name in NAMES},
    }


def main() -> None:
    parser = pair.parser(__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    prepare(options)
    macs = {"student": pair.count_macs(NETWORKS[0]), "teacher": pair.count_macs(NETWORKS[1])}
    seeds: dict[int, dict[str, object]] = {}
    for seed in options.seeds:
        seeds[seed] = compare({name: keep_run(options, seed, name) for name in NAMES})
        report = {
            "command": "python " + " ".join(sys.argv),
            "clock": "processor, one thread",
            "samples": options.samples,
            "epochs": options.epochs,
            "views": VIEWS,
            "macs": {**macs, "ratio": macs["teacher"] / macs["student"]},
            **summarize(list(seeds.values())),
            "seeds": seeds,
        }
        if options.output:
            options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({**report, "seeds": len(seeds)}, indent=1))


if __name__ == "__main__":
    main()
