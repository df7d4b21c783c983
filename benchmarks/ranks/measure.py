"""Two ranks of one thread beside one process of two: throughput and losses.

    python benchmarks/ranks/measure.py throughput --output benchmarks/ranks/throughput.json

`throughput`: one global batch, a live teacher, kd and cross-entropy; the two take turns, `--turns` times; a ratio is
that of one turn, the figure their median with the smallest and largest. The losses are those of the first 20 steps;
beside them stands how far one process of one thread is from one of two: sums in another order alone do that.
Where others use the machine: `--clock processor`.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.data.loader import Samples
from edgekd.learn.losses import LOSSES
from edgekd.learn.method import teacher as finished
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.parallel import ranks
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.progress import Silent
from edgekd.tasks import DEFAULT_TASK

WARM_STEPS, STEPS = 4, 20


class Shape(NamedTuple):
    """What learns from what."""

    student: str
    teacher: str
    """Their builders."""
    small: dict[str, Any]
    large: dict[str, Any]
    """Their arguments."""
    side: int
    """Pixels."""
    batch: int


SHAPES = {
    "resnet8-w16 by resnet14-w32, 32 px, 64 images": Shape(
        "resnet8", "resnet14", {"base": 16}, {"base": 32}, 32, 64
    ),
    "resnet8-w32 by resnet14-w32, 64 px, 64 images": Shape(
        "resnet8", "resnet14", {"base": 32}, {"base": 32}, 64, 64
    ),
    "resnet8-w16 by resnet14-w32, 32 px, 256 images": Shape(
        "resnet8", "resnet14", {"base": 16}, {"base": 32}, 32, 256
    ),
    "vit-tiny by its double, 32 px, 64 images": Shape(
        "vit-tiny", "vit-tiny", {}, {"dim": 192}, 32, 64
    ),
    "resnet8-w8 by resnet8-w16, 8 px, 64 images": Shape(
        "resnet8", "resnet8", {"base": 8}, {"base": 16}, 8, 64
    ),
}
CLOCKS = {"wall": "began_s", "processor": "processor_s"}
"""The processor's time, beside one process of one thread, is that of a machine which others use, too."""


def network(builder: str, arguments: dict[str, Any], side: int, seed: int) -> nn.Module:
    shape = image_classifier(classes=10, channels=3, height=side, width=side)
    torch.manual_seed(seed)
    return blueprint.build(Blueprint(builder=builder, arguments=arguments, interface=shape))


def make_samples(side: int, count: int) -> Samples:
    draw = np.random.default_rng(0)
    pixels = Image(height=side, width=side, channels=3, mean=(0.4,) * 3, std=(0.3,) * 3)
    names = Label(names=tuple("0123456789"))
    return Samples(
        dataset=Dataset(task=DEFAULT_TASK, inputs={"images": pixels}, targets={"labels": names}),
        rows={
            "images": draw.integers(0, 256, (count, side, side, 3), dtype=np.uint8),
            "labels": draw.integers(0, 10, count),
        },
        views=Views(count=2, flip=True, crop=2),
        seed=0,
    )


def train(shape: str, folder: Path, threads: int) -> None:
    """Train a few steps, as one process or as a rank; rank 0 writes the losses and when each step began."""
    builder, teaching, small, large, side, batch = SHAPES[shape]
    teacher = network(teaching, large, side, 2).eval().requires_grad_(False)
    teacher.to(memory_format=torch.channels_last)
    began_s: list[float] = []
    processor_s: list[float] = []
    scheme = offline(finished.run_teacher(teacher, None))

    def lessons(student: nn.Module, seen: Any) -> Any:
        began_s.append(time.perf_counter())
        processor_s.append(time.process_time())
        return scheme.lessons(student, seen)

    terms = [
        Term(loss=NamedMember.parse(name, LOSSES, "loss"), weight=0.5)
        for name in ("cross-entropy", "kd")
    ]
    run = TrainingRun(
        model=network(builder, small, side, 1),
        samples=make_samples(side, batch),
        terms=bind_terms(terms),
        scheme=Scheme(lessons, scheme.companions),
        training=Training(
            epochs=WARM_STEPS + STEPS, batch_size=batch, learning_rate=0.05, checkpoint_every_s=1e6
        ),
        resolved=Arithmetic(precision="fp32", channels_last=True, threads=threads),
        seed=0,
        checkpoints=folder,
        progress=Silent(),
        score=None,
    )
    history = fit(run)  # an epoch is a step: it has a row for each
    value = {"history": history, "began_s": began_s, "processor_s": processor_s}
    (folder / f"found-{ranks.rank()}.json").write_text(json.dumps(value))


def start(arguments: list[str], processes: int, log: Path) -> subprocess.Popen[bytes]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), *arguments]
    settings = os.environ | {"OMP_NUM_THREADS": str(2 // processes), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(command, env=settings, stdout=log.open("ab"), stderr=subprocess.STDOUT)


def train_beside(shape: str, processes: int, threads: int, folder: Path) -> list[dict[str, Any]]:
    """What one launch of so many processes found, a rank each."""
    place = folder / f"{processes}-{threads}"
    place.mkdir(exist_ok=True)
    order = ["train", "--shape", shape, "--folder", str(place), "--threads", str(threads)]
    done = start([__file__, *order], processes, place / "log")
    if done.wait(timeout=280):
        raise RuntimeError((place / "log").read_text()[-3000:])
    return [json.loads((place / f"found-{rank}.json").read_text()) for rank in range(processes)]


def step_s(found: list[dict[str, Any]], clock: str) -> float:
    """Seconds of a step: the median by the wall, or the processor's of all ranks together."""
    steps = [np.diff(each[clock][WARM_STEPS:]) for each in found]
    return float(np.median(steps[0]) if clock == "began_s" else sum(map(np.mean, steps)))


def find_difference(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> float:
    """The largest between losses of the first steps."""
    pairs = zip(*(found[0]["history"][:STEPS] for found in (first, second)), strict=True)
    return max(abs(a[key] - b[key]) for a, b in pairs for key in a)


class Beside:
    """One process and two ranks that take turns at one shape."""

    def __init__(self, shape: str, clock: str) -> None:
        self.shape, self.clock = shape, clock
        self.ratios: list[float] = []
        self.step_ms: dict[int, list[float]] = {1: [], 2: []}
        self.apart = self.threads_apart = 0.0

    def take_turn(self, folder: Path) -> None:
        """One more ratio; who goes first changes."""
        found = {}
        for count in (1, 2) if len(self.ratios) % 2 else (2, 1):
            threads = 2 if count == 1 and self.clock == "began_s" else 1
            found[count] = train_beside(self.shape, count, threads, folder)
            self.step_ms[count].append(1000 * step_s(found[count], self.clock))
        self.ratios.append(self.step_ms[1][-1] / self.step_ms[2][-1])
        self.apart = max(self.apart, find_difference(found[1], found[2]))
        if len(self.ratios) == 1:
            one, two = (train_beside(self.shape, 1, threads, folder) for threads in (1, 2))
            self.threads_apart = find_difference(one, two)

    def describe(self) -> dict[str, Any]:
        """The median and the range of what was found so far."""
        return {
            "turns": len(self.ratios),
            "ratio": statistics.median(self.ratios),
            "ratio_range": [min(self.ratios), max(self.ratios)],
            "one_process_step_ms": statistics.median(self.step_ms[1]),
            "two_ranks_step_ms": statistics.median(self.step_ms[2]),
            "largest_loss_difference_in_20_steps": self.apart,
            "of_one_thread_to_two_in_one_process": self.threads_apart,
        }


def measure_throughput(turns: int, clock: str, shapes: list[str]) -> Iterator[dict[str, Any]]:
    """Yield all that was found after each turn of each shape."""
    rows = {shape: Beside(shape, clock) for shape in shapes}
    facts = {"torch": torch.__version__, "clock": clock}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(turns):
            for shape, row in rows.items():
                row.take_turn(Path(folder))
                print(shape, row.describe(), flush=True)
                yield {**facts, "rows": {n: r.describe() for n, r in rows.items() if r.ratios}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput", "train"])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--shape", nargs="+", choices=SHAPES)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.what == "train":
        train(*given.shape, given.folder, given.threads)
        return
    shapes = given.shape or list(SHAPES)
    for found in measure_throughput(given.turns, CLOCKS[given.clock], shapes):
        found["command"] = " ".join(["python", *sys.argv])
        if given.output is not None:
            given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
