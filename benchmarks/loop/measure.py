"""Throughput of the distillation loop beside a minimal hand-written PyTorch loop and torchdistill.

    python benchmarks/loop/measure.py --output benchmarks/loop/result.json

Student ResNet-8 (width 16), teacher ResNet-8 (width 32), 1x28x28, batch 128, flip and 2-pixel crop,
kd 0.9 at T 4 and cross-entropy 0.1, SGD. The loops take turns, `--repeats` times; a figure is the
median over the turns, a ratio the median of the ratios within a turn, with its smallest and largest.
Where others use the machine, too: `--clock processor --threads 1`, without torchdistill.
torchdistill is measured as it comes (fp32) in the environment this runs in, if it is installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import image_classifier
from edgekd.learn import answers
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

Clock = Callable[[], float]
BATCH = 128
TEMPERATURE = 4.0


def network(base: int) -> nn.Module:
    plan = Blueprint(
        builder="resnet",
        arguments={"depth": 8, "base": base},
        interface=image_classifier(classes=10, channels=1, height=28, width=28),
    )
    plan = plan.model_copy(update={"builder": "resnet8", "arguments": {"base": base}})
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


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""Processor time, with one thread, is that of a machine which others use, too."""


def edgekd_loop(
    samples: Samples, resolved: Arithmetic, knowledge: np.ndarray | None, clock: Clock
) -> float:
    """Samples a second of one epoch through `fit`, set-up included."""
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
            training=Training(epochs=1, batch_size=BATCH),
            resolved=resolved,
            seed=0,
            checkpoints=Path(folder),
            progress=Silent(),
            score=lambda model: 0.0,
        )
        start = clock()
        fit(run)
        return len(samples) / (clock() - start)


def minimal_loop(
    samples: Samples, resolved: Arithmetic, knowledge: np.ndarray | None, clock: Clock
) -> float:
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
    start = clock()
    order = torch.randperm(len(images))
    for at in range(0, len(images) - BATCH + 1, BATCH):
        rows = order[at : at + BATCH]
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
    return len(images) / (clock() - start)


def _augmented(x: torch.Tensor) -> torch.Tensor:
    count = len(x)
    x = F.pad(x[..., 0], (2, 2, 2, 2))
    rows = torch.randint(0, 5, (count,))[:, None] + torch.arange(28)
    columns = torch.randint(0, 5, (count,))[:, None] + torch.arange(28)
    columns = torch.where(torch.rand(count)[:, None] < 0.5, columns.flip(1), columns)
    x = x[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return ((x.float() / 255 - 0.29) / 0.35)[:, None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=12_800)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    samples, clock = data(options.samples), CLOCKS[options.clock]
    fast = Arithmetic(precision="bf16", channels_last=True, threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "knowledge.npy"
        answers.write_knowledge(network(32), samples, path, fast, Silent())
        knowledge = np.load(path, allow_pickle=False)
    loops: dict[str, Callable[[], float]] = {
        "edgekd stored": lambda: edgekd_loop(samples, fast, knowledge, clock),
        "minimal stored": lambda: minimal_loop(samples, fast, knowledge, clock),
        "edgekd online": lambda: edgekd_loop(samples, fast, None, clock),
        "minimal online": lambda: minimal_loop(samples, fast, None, clock),
    }
    peer = torchdistill_loop(samples, options.threads) if options.clock == "wall" else None
    if peer is not None:
        loops["torchdistill online, fp32"] = peer
    speeds: dict[str, list[float]] = {name: [] for name in loops}
    for turn in range(options.repeats + 1):
        for name, loop in loops.items():
            speed = loop()
            if turn:
                speeds[name].append(speed)
    report = {
        "command": "python " + " ".join(sys.argv),
        "clock": options.clock,
        "machine": {"cpu": _cpu(), "threads": options.threads, "torch": torch.__version__},
        "images_per_s": {name: summary(values) for name, values in speeds.items()},
        "ratios": ratios(speeds),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n")


def torchdistill_loop(samples: Samples, threads: int) -> Callable[[], float] | None:
    try:
        from torchdistill_peer import loop
    except ImportError as error:
        print(f"torchdistill: not measured: {error}", file=sys.stderr)
        return None
    return lambda: loop(samples, network(16), network(32), BATCH, threads)


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
