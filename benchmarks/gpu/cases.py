"""What the parts share: networks, samples, the training loop as a user runs it, and what their options are."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
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
from edgekd.learn import complexity
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.data.loader import Samples
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.teacher import TeacherFunction
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

CLASSES = 100
WARM = 6
"""Steps before the clock runs: kernels are chosen, memory is taken."""
TEMPERATURE = 4.0


class Net(NamedTuple):
    """A network and its batch."""

    builder: str
    knobs: dict[str, Any]
    size: int
    batch: int


VIT_S = {"patch": 16, "dim": 384, "depth": 12, "heads": 6}
VIT_L = {"patch": 16, "dim": 1024, "depth": 24, "heads": 16}
STUDENTS = {
    "ResNet-50": Net("resnet50-imagenet", {}, 224, 256),
    "ViT-S": Net("vit-tiny", VIT_S, 224, 256),
}
TEACHER = Net("vit-tiny", VIT_L, 224, 256)
TINY_STUDENTS = {
    "ResNet-50": Net("resnet8", {}, 32, 16),
    "ViT-S": Net("vit-tiny", {"dim": 24, "depth": 2, "patch": 8}, 32, 16),
}
TINY_TEACHER = Net("vit-tiny", {"dim": 48, "depth": 2, "patch": 8}, 32, 16)


def parse_options(doc: str | None) -> argparse.Namespace:
    """The options that every part has."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    return parser.parse_args()


def networks(tiny: bool) -> tuple[dict[str, Net], Net]:
    """The students and their teacher."""
    return (TINY_STUDENTS, TINY_TEACHER) if tiny else (STUDENTS, TEACHER)


def plan_of(net: Net) -> Blueprint:
    """What builds it."""
    ends = image_classifier(classes=CLASSES, channels=3, height=net.size, width=net.size)
    return Blueprint(builder=net.builder, arguments=net.knobs, interface=ends)


def build(net: Net, seed: int = 0) -> nn.Module:
    """It, with random weights."""
    torch.manual_seed(seed)
    return blueprint.build(plan_of(net))


def count_macs(net: Net) -> int:
    """Of one sample, forward."""
    return complexity.count_macs(build(net), plan_of(net))


def make_samples(net: Net, count: int) -> Samples:
    """Noise in the size of its images."""
    random = np.random.default_rng(0)
    pixels = Image(height=net.size, width=net.size, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
    names = Label(names=tuple(f"c{number}" for number in range(CLASSES)))
    return Samples(
        dataset=Dataset(task=DEFAULT_TASK, inputs={"images": pixels}, targets={"labels": names}),
        rows={
            "images": random.integers(0, 256, (count, net.size, net.size, 3), dtype=np.uint8),
            "labels": random.integers(0, CLASSES, count),
        },
        views=Views(count=1, flip=True, crop=4),
        seed=0,
    )


def terms() -> tuple[Term, ...]:
    """Labels and a teacher's answers."""
    return tuple(
        Term(loss=NamedMember.parse(name, LOSSES, "loss"), weight=weight)
        for name, weight in (("cross-entropy", 0.1), ("kd", 0.9))
    )


def synchronize() -> None:
    """Wait for what the GPU was told to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train_samples_per_s(
    net: Net, samples: Samples, teach: TeacherFunction, resolved: Arithmetic, workers: int
) -> float:
    """What edgekd's training loop does, without its first `WARM` steps and its end."""
    scheme, times = offline(teach), []

    def lessons(student: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
        if len(times) in (WARM, len(samples) // net.batch - 1):
            synchronize()
        times.append(time.perf_counter())
        return scheme.lessons(student, batch)

    with tempfile.TemporaryDirectory() as folder:
        run = TrainingRun(
            model=build(net),
            samples=samples,
            terms=bind_terms(terms()),
            scheme=Scheme(lessons, scheme.companions),
            training=Training(epochs=1, batch_size=net.batch, workers=workers),
            resolved=resolved,
            seed=0,
            checkpoints=Path(folder),
            progress=Silent(),
            score=lambda model: 0.0,
        )
        run.model.to("cuda" if torch.cuda.is_available() else "cpu")
        fit(run)
    return (len(times) - 1 - WARM) * net.batch / (times[-1] - times[WARM])


def write(path: Path, value: Any) -> None:
    """What is measured so far."""
    path.with_suffix(".part").write_text(json.dumps(value))
    path.with_suffix(".part").replace(path)
