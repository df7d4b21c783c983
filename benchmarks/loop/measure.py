"""Throughput of the distillation loop beside a minimal hand-written PyTorch loop and torchdistill.

    python benchmarks/loop/measure.py --output benchmarks/loop/result.json

Student ResNet-8 (width 16), teacher ResNet-8 (width 32), 1x28x28, flip and 2-pixel crop,
kd 0.9 at T 4 and cross-entropy 0.1, SGD. Each loop has a process of its own, for what one does to the
C library's heap must not help another; they take turns, `--repeats` times, after one to warm up. A figure is
the median over the turns, a ratio the median of the ratios within a turn, with its smallest and largest, by wall
time and by processor time. torchdistill is measured as it comes (fp32), if it is installed.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

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

sys.path.insert(0, str(Path(__file__).parent))

Rates = dict[str, float]
"""Samples a second by the wall's and by the processor's clock, and page faults a step."""
TEMPERATURE = 4.0


def network(base: int) -> nn.Module:
    ends = image_classifier(classes=10, channels=1, height=28, width=28)
    plan = Blueprint(builder="resnet8", arguments={"base": base}, interface=ends)
    torch.manual_seed(base)
    return blueprint.build(plan)


def data(count: int) -> Samples:
    random = np.random.default_rng(0)
    pixels = Image(height=28, width=28, channels=1, mean=(0.29,), std=(0.35,))
    names = Label(names=tuple("0123456789"))
    return Samples(
        dataset=Dataset(task=DEFAULT_TASK, inputs={"images": pixels}, targets={"labels": names}),
        rows={
            "images": random.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8),
            "labels": random.integers(0, 10, count),
        },
        views=Views(count=1, flip=True, crop=2),
        seed=0,
    )


def terms() -> tuple[Term, ...]:
    return (
        Term(loss=NamedMember.parse("cross-entropy", LOSSES, "loss"), weight=0.1),
        Term(loss=NamedMember.parse("kd", LOSSES, "loss"), weight=0.9),
    )


class Clock:
    """Started when it is made."""

    def __init__(self) -> None:
        self.wall_s, self.processor_s = time.perf_counter(), time.process_time()
        self.faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def rates(self, samples: int, batch: int) -> Rates:
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - self.faults
        return {
            "wall": samples / (time.perf_counter() - self.wall_s),
            "processor": samples / (time.process_time() - self.processor_s),
            "page_faults_a_step": faults / (samples / batch),
        }


def edgekd_loop(
    samples: Samples, resolved: Arithmetic, knowledge: np.ndarray | None, batch: int
) -> Rates:
    """One epoch through `fit`, set-up included."""
    teacher = network(32).to(memory_format=torch.channels_last)
    dtype = torch.bfloat16 if resolved.precision == "bf16" else None
    teach = (
        finished.run_teacher(teacher, dtype)
        if knowledge is None
        else finished.read_teacher(knowledge)
    )
    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(
            model=network(16),
            samples=samples,
            terms=bind_terms(terms()),
            scheme=offline(teach),
            training=Training(epochs=1, batch_size=batch),
            resolved=resolved,
            seed=0,
            checkpoints=Path(folder),
            progress=Silent(),
            score=lambda model: 0.0,
        )
        clock = Clock()
        fit(run)
        return clock.rates(len(samples), batch)


def minimal_loop(
    samples: Samples, resolved: Arithmetic, knowledge: np.ndarray | None, batch: int
) -> Rates:
    """The same work with nothing around it: no checkpoints, no progress, no checks."""
    torch.set_num_threads(resolved.threads)
    layout = torch.channels_last if resolved.channels_last else torch.contiguous_format
    student = network(16).to(memory_format=layout).train()
    teacher = network(32).to(memory_format=layout).eval()
    half = resolved.precision == "bf16"
    optimizer = torch.optim.SGD(
        student.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    images, labels = torch.from_numpy(samples.rows["images"]), torch.from_numpy(samples.labels)
    stored = None if knowledge is None else torch.from_numpy(knowledge[0])
    clock = Clock()
    order = torch.randperm(len(images))
    for at in range(0, len(images) - batch + 1, batch):
        rows = order[at : at + batch]
        x = _augmented(images[rows]).contiguous(memory_format=layout)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            if stored is None:
                with torch.no_grad():
                    told = teacher(x).float()
            else:
                told = stored[rows]
            z = student(x)
        loss = 0.1 * F.cross_entropy(z.float(), labels[rows]) + 0.9 * TEMPERATURE**2 * F.kl_div(
            F.log_softmax(z.float() / TEMPERATURE, 1),
            F.log_softmax(told / TEMPERATURE, 1),
            reduction="batchmean",
            log_target=True,
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return clock.rates(len(images), batch)


def _augmented(x: torch.Tensor) -> torch.Tensor:
    count = len(x)
    x = F.pad(x[..., 0], (2, 2, 2, 2))
    rows = torch.randint(0, 5, (count,))[:, None] + torch.arange(28)
    columns = torch.randint(0, 5, (count,))[:, None] + torch.arange(28)
    columns = torch.where(torch.rand(count)[:, None] < 0.5, columns.flip(1), columns)
    x = x[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return ((x.float() / 255 - 0.29) / 0.35)[:, None]


LOOPS = {
    "edgekd stored": (edgekd_loop, True),
    "minimal stored": (minimal_loop, True),
    "edgekd online": (edgekd_loop, False),
    "minimal online": (minimal_loop, False),
}
"""And whether answers come from the store."""
PEER = "torchdistill online, fp32"


@functools.cache
def _given(count: int) -> tuple[Samples, np.ndarray]:
    """Samples, and answers of a teacher who guesses, [1, count, 10]."""
    return data(count), np.random.default_rng(0).normal(size=(1, count, 10)).astype(np.float32)


def take_turn(name: str, count: int, threads: int, batch: int) -> Rates | None:
    """Run one loop once; None if it is not installed."""
    samples, stored = _given(count)
    if name == PEER:
        loop = torchdistill_loop(samples, threads, batch)
        return None if loop is None else {"wall": loop()}
    run, is_stored = LOOPS[name]
    fast = Arithmetic(precision="bf16", channels_last=True, threads=threads)
    return run(samples, fast, stored if is_stored else None, batch)


def measure(options: argparse.Namespace) -> dict[str, list[Rates]]:
    """The rates of each loop, a turn after the other."""
    context, measured = multiprocessing.get_context("spawn"), dict[str, list[Rates]]()
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(ProcessPoolExecutor(1, context)) for name in (*LOOPS, PEER)
        }
        for turn in range(options.repeats + 1):
            for name, pool in list(pools.items()):
                settings = options.samples, options.threads, options.batch
                asked = pool.submit(take_turn, name, *settings)
                if (rates := asked.result()) is None:
                    del pools[name]
                elif turn:
                    measured.setdefault(name, []).append(rates)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=3_840)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    measured = measure(options)
    report: dict[str, object] = {
        "command": "python " + " ".join(sys.argv),
        "machine": {"cpu": _cpu(), "threads": options.threads, "torch": torch.__version__},
        "load": list(os.getloadavg()),
        "page_faults_a_step": {
            name: statistics.median(each["page_faults_a_step"] for each in rates)
            for name, rates in measured.items()
            if name != PEER
        },
    }
    for clock in ("wall", "processor"):
        speeds = {
            n: [each[clock] for each in rates if clock in each] for n, rates in measured.items()
        }
        report[clock] = {
            "images_per_s": {name: summary(each) for name, each in speeds.items() if each},
            "ratios": ratios({name: each for name, each in speeds.items() if each}),
        }
    text = json.dumps(report, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


def torchdistill_loop(samples: Samples, threads: int, batch: int) -> Callable[[], float] | None:
    try:
        from torchdistill_peer import loop
    except ImportError as error:
        print(f"torchdistill: not measured: {error}", file=sys.stderr)
        return None
    return lambda: loop(samples, network(16), network(32), batch, threads)


def summary(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(speeds: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    pairs = {
        "edgekd / minimal, stored": ("edgekd stored", "minimal stored"),
        "edgekd / minimal, online": ("edgekd online", "minimal online"),
        "edgekd stored / torchdistill": ("edgekd stored", "torchdistill online, fp32"),
        "edgekd online / torchdistill": ("edgekd online", "torchdistill online, fp32"),
    }
    return {
        name: summary([a / b for a, b in zip(speeds[one], speeds[other], strict=True)])
        for name, (one, other) in pairs.items()
        if one in speeds and other in speeds
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
