"""Processor time to the same validation score: edgekd from stored answers, and the usual online loop.

    python benchmarks/training/score.py WORK --data FOLDER --output benchmarks/training/score.json

The usual loop runs its teacher at each step; it is written by hand on whole batches, so nothing but its work is
measured, once in float32 and NCHW, once in bf16 and channels_last. All validate after each epoch. The target is
the lowest of the three loops' best scores, so each reaches it. Process time on one thread: others use the machine, too.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pair
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.learn import answers
from edgekd.learn.method import teacher as finished
from edgekd.learn.method.schedule import learning_rate
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Training
from edgekd.progress import Silent

VIEWS, SWEEP = 8, 12
Curve = list[tuple[float, float]]
"""Seconds since the start and score, after each epoch."""


def train_online(
    teacher: nn.Module, data: tuple[np.ndarray, ...], epochs: int, *, fast: bool
) -> Curve:
    """The usual loop: the teacher's forward pass at each step."""
    layout = torch.channels_last if fast else torch.contiguous_format
    score = pair.make_score(*data[2:], half=fast, layout=layout)
    student = pair.build(pair.STUDENT, 1).to(memory_format=layout)
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
    torch.manual_seed(1)
    start = time.process_time()
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
        curve.append((time.process_time() - start, score(student)))
    return curve


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
    teacher: nn.Module, data: tuple[np.ndarray, ...], epochs: int
) -> tuple[float, Curve]:
    """Seconds of building the answers, and the curve of edgekd's own loop that reads them."""
    samples = pair.make_samples(*data[:2], views=VIEWS, seed=0)
    inner = pair.make_score(*data[2:], half=True, layout=torch.channels_last)
    teacher = teacher.to(memory_format=torch.channels_last).eval()
    curve = Curve()
    with tempfile.TemporaryDirectory() as folder:
        path, start = Path(folder) / "knowledge.npy", time.process_time()
        answers.write_knowledge(teacher, samples, path, pair.FAST, Silent())
        built_s = time.process_time() - start
        stored = finished.read_teacher(np.load(path, mmap_mode="r", allow_pickle=False))
        start = time.process_time()

        def score(model: nn.Module) -> float:
            now = time.process_time() - start
            curve.append((now, inner(model)))
            return curve[-1][1]

        student = pair.build(pair.STUDENT, 1)
        pair.train(student, samples, offline(stored), pair.KD, epochs, 1, Path(folder), score)
    return built_s, curve


def seconds_to(curve: Curve, target: float) -> float:
    return next(second for second, score in curve if score >= target)


def compare(curves: dict[str, Curve], built_s: float) -> dict[str, object]:
    """Of each usual loop: how many times as long it takes as edgekd, and what the building changes."""
    target = min(max(score for _, score in curve) for curve in curves.values())
    ends = {name: seconds_to(curve, target) for name, curve in curves.items()}
    stored_s, whole_s = ends["edgekd"], curves["edgekd"][-1][0]
    usual = [name for name in curves if name != "edgekd"]
    return {
        "target_score": target,
        "seconds_to_target": ends,
        "build_s": built_s,
        "faster_to_target": {
            name: {
                "answers in the store": ends[name] / stored_s,
                f"build shared by {SWEEP} students": ends[name] / (stored_s + built_s / SWEEP),
                "build paid by one student": ends[name] / (stored_s + built_s),
            }
            for name in usual
        },
        "faster_whole_run": {name: curves[name][-1][0] / whole_s for name in usual},
    }


def main() -> None:
    options = pair.parser(__doc__).parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = pair.read_data(options.data, options.samples)
    teacher = pair.find_teacher(options.work, data)
    built_s, stored = train_stored(teacher, data, options.epochs)
    curves = {"edgekd": stored}
    for name, fast in (("online, bf16, channels_last", True), ("online, fp32, NCHW", False)):
        curves[name] = train_online(teacher, data, options.epochs, fast=fast)
        print(name, curves[name][-1], flush=True)
    macs = {"student": pair.count_macs(pair.STUDENT), "teacher": pair.count_macs(pair.TEACHER)}
    report = {
        "command": "python " + " ".join(sys.argv),
        "clock": "processor, one thread",
        "samples": options.samples,
        "views": VIEWS,
        "macs": {**macs, "ratio": macs["teacher"] / macs["student"]},
        **compare(curves, built_s),
        "curves_s_and_score": curves,
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
