"""Does robust distillation make a small student harder to mislead? Digits, over seeds.

    python benchmarks/safety/measure.py --seeds 0 1 2 --output benchmarks/safety/robust.json

A wide ResNet-8 is trained adversarially and teaches narrow ones: by kd on clean images, by ard, by rslad.
Controls learn from the labels alone, plainly and adversarially. Every sixth image is the test set: its
accuracy as it is, and under projected gradient ascent on the cross-entropy (40 steps from a random
place). One thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgekd.dataset import Dataset
from edgekd.fields import image
from edgekd.fields.label import Label
from edgekd.learn.attack import robust_accuracy
from edgekd.learn.data import digits
from edgekd.learn.data.loader import Samples
from edgekd.learn.evaluation import EvaluationSplit
from edgekd.learn.losses import LOSSES
from edgekd.learn.method import teacher as finished
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.teacher import TeacherFunction
from edgekd.learn.models.resnet import resnet
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.schemes.offline import offline
from edgekd.learn.schemes.robust import adversarial
from edgekd.learn.schemes.robust import ard
from edgekd.learn.schemes.robust import rslad
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.source import LabelledImages
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.progress import Silent
from edgekd.tasks import DEFAULT_TASK
from edgekd.tasks import classification

EPSILON, STEP, STEPS = 0.1, 0.025, 5
"""Of the attack in training; a grey level of these images is 1/16."""
TEACHER, STUDENT = 16, 4
"""Channels of the first stage."""
BATCH = 64


def network(base: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return resnet(classes=10, channels=1, height=8, width=8, depth=8, base=base)


def data() -> tuple[Samples, np.ndarray, np.ndarray]:
    """The training split; test images and labels."""
    whole = LabelledImages(**digits.read().splits["train"])
    rows = np.random.default_rng(0).permutation(len(whole.labels))
    test, train = rows[::6], np.delete(rows, np.s_[::6])
    mean, std = image.mean_and_std(whole.images, train)
    pixels = image.Image(height=8, width=8, channels=1, mean=mean, std=std)
    names = Label(names=tuple("0123456789"))
    samples = Samples(
        dataset=Dataset(task=DEFAULT_TASK, inputs={"images": pixels}, targets={"labels": names}),
        rows={"images": whole.images[train], "labels": whole.labels[train]},
        views=Views(count=4, crop=1),
        seed=0,
    )
    return samples, whole.images[test], whole.labels[test]


def trained(
    model: nn.Module,
    scheme: Scheme,
    terms: tuple[Term, ...],
    samples: Samples,
    epochs: int,
    seed: int,
) -> nn.Module:
    with tempfile.TemporaryDirectory() as folder:
        fit(
            TrainingRun(
                model=model,
                samples=samples,
                terms=bind_terms(terms),
                scheme=scheme,
                training=Training(epochs=epochs, batch_size=BATCH, learning_rate=0.1),
                resolved=Arithmetic(precision="fp32", channels_last=False, threads=1),
                seed=seed,
                checkpoints=Path(folder),
                progress=Silent(),
                score=lambda model: 0.0,
            )
        )
    return model


def term(name: str, weight: float = 1.0, **knobs: float) -> Term:
    return Term(loss=NamedMember.parse({"name": name, **knobs}, LOSSES, "loss"), weight=weight)


def methods(
    teach: TeacherFunction, samples: Samples
) -> dict[str, tuple[Callable[[nn.Module], Scheme], tuple[Term, ...]]]:
    """Each way to learn: its scheme for a student, its losses."""
    knobs = {"epsilon": EPSILON, "step": STEP, "steps": STEPS}
    labels = (term("cross-entropy"),)
    return {
        "labels": (lambda student: learn_from_labels(), labels),
        "kd": (lambda student: offline(teach), (term("cross-entropy", 0.1), term("kd", 0.9))),
        "adversarial": (lambda student: adversarial(student, samples, **knobs), labels),
        "ard": (
            lambda student: ard(student, teach, samples, **knobs),
            (term("kd", temperature=4.0),),
        ),
        "rslad": (
            lambda student: rslad(student, teach, samples, **knobs),
            (term("kd", temperature=1.0),),
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    begun = time.monotonic()
    samples, images, labels = data()
    rows = {"images": images, "labels": labels}
    plain = EvaluationSplit(classification.TASK, samples.dataset, rows).score
    attacked = partial(
        robust_accuracy,
        images=images,
        labels=labels,
        image=samples.image,
        epsilon=EPSILON,
        step=EPSILON / 10,
        steps=40,
    )

    def scored(model: nn.Module) -> dict[str, float]:
        return {"clean": plain(model), "robust": attacked(model)}

    wide = network(TEACHER, 100)
    scheme = adversarial(wide, samples, epsilon=EPSILON, step=STEP, steps=STEPS)
    trained(wide, scheme, (term("cross-entropy"),), samples, given.epochs, 100)
    rows: dict[str, dict[int, dict[str, float]]] = {}
    ways = methods(finished.run_teacher(wide, None), samples)
    for seed in given.seeds:
        for name, (make, terms) in ways.items():
            student = network(STUDENT, seed)
            trained(student, make(student), terms, samples, given.epochs, seed)
            rows.setdefault(name, {})[seed] = scored(student)
            print(f"{time.monotonic() - begun:.0f} s: {name}, seed {seed}: {rows[name][seed]}")
    report = {
        "command": "python " + " ".join(sys.argv),
        "epsilon": EPSILON,
        "test_images": len(labels),
        "teacher": scored(wide),
        "students": rows,
        "mean": {
            name: {
                kind: statistics.mean(row[kind] for row in each.values())
                for kind in ("clean", "robust")
            }
            for name, each in rows.items()
        },
        "took_s": round(time.monotonic() - begun),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if given.output:
        given.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
