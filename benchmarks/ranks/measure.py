"""Two ranks of one thread beside one process of two: throughput and losses; and runs of two ranks that are killed.

    python benchmarks/ranks/measure.py throughput --output benchmarks/ranks/throughput.json
    python benchmarks/ranks/measure.py kills --runs 30 --output benchmarks/ranks/kills.json

`throughput`: one global batch, a live teacher, kd and cross-entropy; the two take turns, `--turns` times; a ratio is
that of one turn, the figure their median with the smallest and largest. The losses are those of the first 20 steps.
Where others use the machine: `--clock processor`.
`kills`: `edgekd knowledge build` on two ranks; one of the two is killed (-9) after a time drawn at random, then the
same command runs to its end; what the store holds has to be, byte for byte, what a run that nobody disturbed made.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
from edgekd.store import Store
from edgekd.tasks import DEFAULT_TASK

BATCH, WARM_STEPS, STEPS = 64, 4, 20
SHAPES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], int]] = {
    "resnet8-w16 by resnet14-w32, 32 px": ("resnet8", "resnet14", {"base": 16}, {"base": 32}, 32),
    "vit-tiny by its double, 32 px": ("vit-tiny", "vit-tiny", {}, {"dim": 192}, 32),
    "resnet8-w8 by resnet8-w16, 8 px": ("resnet8", "resnet8", {"base": 8}, {"base": 16}, 8),
}
"""Builders and arguments of student and teacher, pixels a side."""
CLOCKS = {"wall": "began_s", "processor": "processor_s"}
"""The processor's time, beside one process of one thread, is that of a machine which others use, too."""
RECIPE = """
name: tiny
data: {source: digits, test: 0.5, validation: 0.2}
views: {count: 4, crop: 1, flip: false}
knowledge: {encoding: fp32}
teacher:
  model: {name: resnet8, base: 8}
  train: {epochs: 8, batch_size: 64, learning_rate: 0.05, precision: fp32, channels_last: true, threads: 1,
          checkpoint_every_s: 0}
student:
  model: {name: resnet8, base: 4}
  train: {epochs: 1, batch_size: 64, learning_rate: 0.03, precision: fp32, channels_last: true, threads: 1}
learn: [{step: distil, knowledge: stored, losses: [kd]}]
targets: [{runtime: onnxruntime, precision: fp32, threads: [1]}]
"""


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
    builder, teaching, small, large, side = SHAPES[shape]
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
        samples=make_samples(side, BATCH),
        terms=bind_terms(terms),
        scheme=Scheme(lessons, scheme.companions),
        training=Training(
            epochs=WARM_STEPS + STEPS, batch_size=BATCH, learning_rate=0.05, checkpoint_every_s=1e6
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
    place = folder / str(processes)
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


class Beside:
    """One process and two ranks that take turns at one shape."""

    def __init__(self, shape: str, clock: str) -> None:
        self.shape, self.clock = shape, clock
        self.ratios: list[float] = []
        self.step_ms: dict[int, list[float]] = {1: [], 2: []}
        self.apart = 0.0

    def take_turn(self, folder: Path) -> None:
        """One more ratio; who goes first changes."""
        found = {}
        for count in (1, 2) if len(self.ratios) % 2 else (2, 1):
            threads = 2 if count == 1 and self.clock == "began_s" else 1
            found[count] = train_beside(self.shape, count, threads, folder)
            self.step_ms[count].append(1000 * step_s(found[count], self.clock))
        self.ratios.append(self.step_ms[1][-1] / self.step_ms[2][-1])
        first, second = (found[count][0]["history"][:STEPS] for count in (1, 2))
        pairs = zip(first, second, strict=True)
        self.apart = max(self.apart, *(abs(a[key] - b[key]) for a, b in pairs for key in a))

    def describe(self) -> dict[str, Any]:
        """The median and the range of what was found so far."""
        return {
            "turns": len(self.ratios),
            "ratio": statistics.median(self.ratios),
            "ratio_range": [min(self.ratios), max(self.ratios)],
            "one_process_step_ms": statistics.median(self.step_ms[1]),
            "two_ranks_step_ms": statistics.median(self.step_ms[2]),
            "largest_loss_difference_in_20_steps": self.apart,
        }


def measure_throughput(turns: int, clock: str, shapes: list[str]) -> Iterator[dict[str, Any]]:
    """Yield all that was found after each turn of each shape."""
    rows = {shape: Beside(shape, clock) for shape in shapes}
    facts = {"batch": BATCH, "torch": torch.__version__, "clock": clock}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(turns):
            for shape, row in rows.items():
                row.take_turn(Path(folder))
                print(shape, row.describe(), flush=True)
                yield {**facts, "rows": {n: r.describe() for n, r in rows.items() if r.ratios}}


def build(folder: Path, recipe: Path) -> subprocess.Popen[bytes]:
    order = ["-m", "edgekd", "knowledge", "build", str(recipe), "--store", str(folder)]
    return start(order, 2, folder.with_suffix(".log"))


def contents(folder: Path) -> dict[str, str]:
    """Of each result that learning made, its files' digests."""
    return {
        f"{entry.key} {name}": blob.sha256
        for entry in Store(folder).entries()
        if entry.inputs["stage"] in ("train", "knowledge", "data")
        for name, blob in entry.files.items()
    }


def find_rank(launcher: int, rank: int) -> int | None:
    """The process of a rank below a launcher; None if it is not there (any more)."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = path.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            variables = path.joinpath("environ").read_bytes().split(b"\0")
            if int(parent) == launcher and f"RANK={rank}".encode() in variables:
                return int(path.name)
    return None


def measure_kills(runs: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield all that was found after each run."""
    draw, rows = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder:
        recipe = Path(folder) / "recipe.yaml"
        recipe.write_text(RECIPE)
        began_s = time.monotonic()
        if build(Path(folder) / "whole", recipe).wait():
            raise RuntimeError((Path(folder) / "whole.log").read_text()[-3000:])
        took_s, wanted = time.monotonic() - began_s, contents(Path(folder) / "whole")
        for number in range(runs):
            store = Path(folder) / str(number)
            rank, at_s = draw.randrange(2), draw.uniform(0.3 * took_s, took_s)
            started = build(store, recipe)
            time.sleep(at_s)
            victim = find_rank(started.pid, rank)
            if victim is not None:
                os.kill(victim, signal.SIGKILL)
            killed_s = time.monotonic()
            first = started.wait(timeout=120)
            ended_s = time.monotonic() - killed_s
            log = store.with_suffix(".log").read_text()
            named = victim is None or "was lost: it was killed" in log
            again = build(store, recipe).wait(timeout=280)
            same = contents(store) == wanted
            rows.append(
                {"rank": rank, "at_s": round(at_s, 2), "was_running": victim is not None, "first_exit": first,
                 "ended_after_s": round(ended_s, 2), "lost_rank_named": named, "second_exit": again, "same_bytes": same}
            )  # fmt: skip
            print(rows[-1], flush=True)
            facts = {"undisturbed_s": round(took_s, 1), "seed": seed, "files": len(wanted)}
            yield {**facts, "runs": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["throughput", "kills", "train"])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shape")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    if given.what == "train":
        train(given.shape, given.folder, given.threads)
        return
    if given.what == "throughput":
        shapes = [given.shape] if given.shape else list(SHAPES)
        results = measure_throughput(given.turns, CLOCKS[given.clock], shapes)
    else:
        results = measure_kills(given.runs, given.seed)
    for found in results:
        found["command"] = " ".join(["python", *sys.argv])
        if given.output is not None:
            given.output.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
