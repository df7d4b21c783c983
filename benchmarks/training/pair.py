"""A student and a teacher of many times its work, on real images: what the measurements here share.

Fashion-MNIST, 28x28: the first `--samples` of its training images after the first 3,000, which are the validation
split. Teacher wrn-16-2, as in `pipelines/fashion-mnist.yaml`; student ResNet-8 of width 8. Flip and 2-pixel crop,
kd 0.9 at T 4 and cross-entropy 0.1, SGD with a one-cycle schedule, batch 128, one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

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
from edgekd.learn.data import fashion_mnist
from edgekd.learn.data.loader import Samples
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.progress import Silent
from edgekd.tasks import DEFAULT_TASK

VALIDATION, BATCH, RATE, DECAY, TEMPERATURE = 3_000, 128, 0.15, 2e-4, 4.0
MEAN, STD = 0.286, 0.353
BORDER = 2
FAST = Arithmetic(precision="bf16", channels_last=True, threads=1)
STUDENT, TEACHER = ("resnet8", {"base": 8}), ("wrn-16-2", {})
KD = (
    Term(loss=NamedMember.parse("cross-entropy", LOSSES, "loss"), weight=0.1),
    Term(loss=NamedMember.parse("kd", LOSSES, "loss"), weight=0.9),
)
LABELS = (Term(loss=NamedMember.parse("cross-entropy", LOSSES, "loss")),)


def build(network: tuple[str, dict[str, int]], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return blueprint.build(_plan(network))


def count_macs(network: tuple[str, dict[str, int]]) -> int:
    return complexity.count_macs(build(network, 0), _plan(network))


def _plan(network: tuple[str, dict[str, int]]) -> Blueprint:
    ends = image_classifier(classes=10, channels=1, height=28, width=28)
    return Blueprint(builder=network[0], arguments=network[1], interface=ends)


def parser(description: str | None) -> argparse.ArgumentParser:
    """With what all take."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "work", type=Path, help="folder for the teacher and what is kept between runs"
    )
    made.add_argument("--data", type=Path, help="folder of the IDX files")
    made.add_argument("--samples", type=int, default=8_000)
    made.add_argument("--epochs", type=int, default=16)
    made.add_argument("--output", type=Path)
    return made


def read_data(folder: Path | None, count: int) -> tuple[np.ndarray, ...]:
    """Images and labels to train on, then those of the validation split."""
    train = fashion_mnist.read(data_dir=folder).splits["train"]
    images, labels = train["images"], train["labels"]
    last = VALIDATION + count
    return (
        images[VALIDATION:last],
        labels[VALIDATION:last],
        images[:VALIDATION],
        labels[:VALIDATION],
    )


def make_samples(images: np.ndarray, labels: np.ndarray, views: int, seed: int) -> Samples:
    pixels = Image(height=28, width=28, channels=1, mean=(MEAN,), std=(STD,))
    names = Label(names=fashion_mnist.CLASSES)
    return Samples(
        dataset=Dataset(task=DEFAULT_TASK, inputs={"images": pixels}, targets={"labels": names}),
        rows={"images": images, "labels": labels},
        views=Views(count=views, flip=True, crop=BORDER),
        seed=seed,
    )


def make_score(
    images: np.ndarray, labels: np.ndarray, *, half: bool, layout: torch.memory_format
) -> Callable[[nn.Module], float]:
    """The accuracy of a model on the validation split, in the arithmetic that it is trained in."""
    pixels = ((torch.from_numpy(images[..., 0]).float() / 255 - MEAN) / STD)[:, None]
    batches = [each.contiguous(memory_format=layout) for each in pixels.split(500)]
    right = torch.from_numpy(labels)

    def score(model: nn.Module) -> float:
        model.eval()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            answers = torch.cat([model(each).argmax(1) for each in batches])
        return float((answers == right).double().mean())

    return score


def train(
    model: nn.Module,
    samples: Samples,
    scheme: Scheme,
    terms: tuple[Term, ...],
    epochs: int,
    seed: int,
    folder: Path,
    score: Callable[[nn.Module], float],
) -> list[dict[str, float]]:
    """As edgekd trains; gives its history."""
    training = Training(
        epochs=epochs, batch_size=BATCH, learning_rate=RATE, weight_decay=DECAY, precision="bf16"
    )
    return fit(
        TrainingRun(
            model=model,
            samples=samples,
            terms=bind_terms(terms),
            scheme=scheme,
            training=training,
            resolved=FAST,
            seed=seed,
            checkpoints=folder,
            progress=Silent(),
            score=score,
        )
    )


def find_teacher(work: Path, data: tuple[np.ndarray, ...]) -> nn.Module:
    """The teacher in `work`; trained there first, if there is none."""
    path, model = work / "teacher.pt", build(TEACHER, 0)
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
    samples = make_samples(*data[:2], views=12, seed=7)
    score = make_score(*data[2:], half=True, layout=torch.channels_last)
    folder = work / "teacher"
    start = time.process_time()
    rows = train(model, samples, learn_from_labels(), LABELS, 12, 7, folder, score)
    print(f"teacher: {rows[-1]['score']:.4f}, {time.process_time() - start:.0f} s", flush=True)
    torch.save(model.state_dict(), path)
    return model.eval()
