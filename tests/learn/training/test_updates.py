"""What the loop does to the weights, beside the same steps written by hand."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.fields.image import Image
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import shuffle_samples
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.schedule import learning_rate
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Ramp
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.training import monitor
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.progress import Silent
from tests import data_example

SAMPLES, BATCH, STEPS = 26, 8, 3
"""Three batches an epoch; two samples are left over."""
SEED = 5


def net() -> nn.Module:
    """Matrices, a bias, and a norm with its running statistics."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(12, 5, bias=False), nn.BatchNorm1d(5), nn.Linear(5, 3)
    )


def samples() -> Samples:
    random = np.random.default_rng(0)
    return data_example.samples(
        images=random.integers(0, 256, (SAMPLES, 4, 3, 1), dtype=np.uint8),
        labels=random.integers(0, 3, SAMPLES),
        classes=3,
        image=Image(height=4, width=3, channels=1, mean=(0.5,), std=(0.3,)),
        views=Views(count=2, flip=True),
        seed=0,
    )


def term(name: str | dict[str, Any], weight: float, ramp: Ramp | None = None) -> Term:
    return Term(loss=NamedMember.parse(name, LOSSES, "loss"), weight=weight, ramp=ramp)


def teacher(images: Tensor) -> Tensor:
    """Logits that depend on the images, and on nothing learned."""
    return torch.stack([images.flatten(1)[:, k::3].sum(1) for k in range(3)], 1)


def taught(student: nn.Module, seen: TensorBatch) -> list[Lesson]:
    signals = {"student_logits": student(*seen.inputs), "labels": seen.targets["labels"]}
    return [Lesson({**signals, "teacher_logits": teacher(*seen.inputs)})]


def run(folder: Path, terms: tuple[Term, ...], scheme: Scheme, **training: Any) -> TrainingRun:
    told = {"epochs": 4, "batch_size": BATCH, "learning_rate": 0.05, "precision": "fp32"}
    return TrainingRun(
        model=net(),
        samples=samples(),
        terms=bind_terms(terms),
        scheme=scheme,
        training=Training(**(told | {"checkpoint_every_s": 0} | training)),
        resolved=Arithmetic(precision="fp32", channels_last=False, threads=1),
        seed=SEED,
        checkpoints=folder,
        progress=Silent(),
        score=lambda model: 0.25,
    )


def batches(epoch: int) -> list[tuple[Tensor, Tensor]]:
    data, rows = samples(), shuffle_samples(SAMPLES, SEED, epoch)
    parts = [data.batch(rows[at * BATCH : (at + 1) * BATCH], epoch % 2) for at in range(STEPS)]
    return [
        (torch.from_numpy(part.inputs[0]), torch.from_numpy(part.targets["labels"]))
        for part in parts
    ]


class ByHand:
    """SGD and AdamW from their papers' formulas; matrices alone decay."""

    def __init__(self, model: nn.Module, training: Training) -> None:
        self.parameters, self.training, self.steps = list(model.parameters()), training, 0
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        said, self.steps = self.training, self.steps + 1
        gradients = [p.grad for p in self.parameters]
        if said.clip_norm is not None:
            norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
            gradients = [g * min(1.0, said.clip_norm / (norm + 1e-6)) for g in gradients]
        for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
            decay = said.weight_decay if p.ndim > 1 else 0.0
            if said.optimizer == "sgd":
                g = g + decay * p
                m.mul_(said.momentum).add_(g)
                p -= lr * (g + said.momentum * m if said.nesterov else m)
                continue
            p -= lr * decay * p
            m.mul_(said.momentum).add_(g, alpha=1 - said.momentum)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            risen = m / (1 - said.momentum**self.steps)
            p -= lr * risen / ((v / (1 - 0.999**self.steps)).sqrt() + 1e-8)


def linear(start: float, end: float, epochs: float, gone: float) -> float:
    return start + (end - start) * min(gone / epochs, 1.0)


@pytest.mark.parametrize(
    "training",
    [
        {"weight_decay": 0.3},
        {"weight_decay": 0.3, "nesterov": False, "momentum": 0.5},
        {"momentum": 0.0},
        {"optimizer": "adamw", "weight_decay": 0.5, "momentum": 0.8},
        {"clip_norm": 0.05},
        {"schedule": "cosine", "warmup_epochs": 1.5},
        {"schedule": "step", "step_at": (0.5,)},
    ],
)
def test_every_step_is_the_one_by_hand(tmp_path: Path, training: dict[str, Any]) -> None:
    """A ramp that rises, a ramp that falls, a term without one; biases and norms do not decay."""
    terms = (
        term("cross-entropy", 0.7, Ramp(start=1.0, end=0.2, epochs=2.5)),
        term({"name": "kd", "temperature": 2.0}, 0.4, Ramp(start=0.0, end=3.0, epochs=3.0)),
        term("logit-mse", 0.01),
    )
    made = run(tmp_path, terms, Scheme(taught, nn.ModuleDict()), **training)
    rows = fit(made)
    model, said = net().train(), made.training
    optimizer, step = ByHand(model, said), 0
    for epoch in range(said.epochs):
        sums = np.zeros(3)
        for images, labels in batches(epoch):
            z, t = model(images), teacher(images)
            soft = (t / 2).softmax(1)
            values = [
                F.cross_entropy(z, labels),
                4 * (soft * (soft.log() - (z / 2).log_softmax(1))).sum(1).mean(),
                (z - t).square().mean(),
            ]
            gone = step / STEPS
            weights = [
                0.7 * linear(1.0, 0.2, 2.5, gone),
                0.4 * linear(0.0, 3.0, 3.0, gone),
                0.01,
            ]
            model.zero_grad()
            sum(w * v for w, v in zip(weights, values, strict=True)).backward()
            lr = learning_rate(said, step / (STEPS * said.epochs))
            optimizer.step(lr)
            sums, step = sums + [v.item() for v in values], step + 1
        want = [*(sums / STEPS), lr, 0.25]
        assert list(rows[epoch].values()) == pytest.approx(want, rel=1e-4)
    for name, tensor in made.model.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_a_cosine_ramp_is_slow_at_both_ends(tmp_path: Path) -> None:
    """A term whose weight stays near 0 for the first step moves nothing; a line would."""
    ramp = Ramp(start=0.0, end=1.0, epochs=4.0, shape="cosine")
    moved = []
    for each in (ramp, ramp.model_copy(update={"shape": "linear"})):
        made = run(
            tmp_path / each.shape,
            (term("cross-entropy", 1.0, each),),
            learn_from_labels(),
            epochs=1,
            momentum=0.0,
            weight_decay=0.0,
            schedule="constant",
        )
        fit(made)
        moved.append((made.model[3].weight - net()[3].weight).norm().item())
    shares = [
        sum(f(k / 12) for k in range(3)) for f in (lambda p: (1 - math.cos(math.pi * p)) / 2, float)
    ]
    assert moved[0] / moved[1] == pytest.approx(shares[0] / shares[1], rel=0.2)


@pytest.mark.parametrize("decay", [0.6, 0.9])
def test_the_average_follows_weights_and_statistics(tmp_path: Path, decay: float) -> None:
    made = run(tmp_path, data_example.LABELS_ALONE, learn_from_labels(), ema_decay=decay, epochs=2)
    fit(made)
    model, average = net().train(), dict[str, Tensor]()
    optimizer = ByHand(model, made.training)
    for step in range(2 * STEPS):
        images, labels = batches(step // STEPS)[step % STEPS]
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step(learning_rate(made.training, step / (2 * STEPS)))
        for name, tensor in model.state_dict().items():
            now, before = tensor.detach().double(), average.get(name)
            average[name] = now if before is None else decay * before + (1 - decay) * now
    for name, tensor in made.model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor.double(), average[name], rtol=1e-4, atol=1e-6)


def nan_at(calls: set[int]) -> Scheme:
    """The student's logits are NaN at those calls, numbered from 1 over all rollbacks."""
    count = 0

    def lessons(student: nn.Module, seen: TensorBatch) -> list[Lesson]:
        nonlocal count
        count += 1
        z = student(*seen.inputs)
        return [
            Lesson(
                {
                    "student_logits": z * (float("nan") if count in calls else 1),
                    "labels": seen.targets["labels"],
                }
            )
        ]

    return Scheme(lessons, nn.ModuleDict())


@pytest.mark.parametrize(("calls", "factor"), [({5}, 0.5), ({5, 7}, 0.25), ({2, 3, 4}, 0.125)])
def test_each_rollback_halves_the_rate_from_the_last_checkpoint_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: set[int], factor: float
) -> None:
    monkeypatch.setattr(monitor, "EVERY_S", 0.0)  # each step is looked at before the next one
    asked = {"on_nan": "rollback", "schedule": "constant", "epochs": 2}
    made = run(tmp_path, data_example.LABELS_ALONE, nan_at(calls), **asked)
    rows = fit(made)
    assert rows[-1]["learning_rate"] == pytest.approx(0.05 * factor, rel=1e-12)
    model = net().train()
    optimizer = ByHand(model, made.training)
    for epoch in range(2):
        slow = factor if epoch or min(calls) <= STEPS else 1.0
        for images, labels in batches(epoch):
            model.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step(0.05 * slow)
    for name, tensor in made.model.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_a_kill_right_after_a_rollback_does_not_forget_the_halved_rate(tmp_path: Path) -> None:
    class KilledAtNote(Silent):
        def note(self, text: str) -> None:
            raise KeyboardInterrupt

    asked = {"on_nan": "rollback", "schedule": "constant", "epochs": 2}
    struck = run(tmp_path, data_example.LABELS_ALONE, nan_at({5}), **asked)
    struck.progress = KilledAtNote()
    with pytest.raises(KeyboardInterrupt):
        fit(struck)
    rows = fit(run(tmp_path, data_example.LABELS_ALONE, learn_from_labels(), **asked))
    assert rows[-1]["learning_rate"] == pytest.approx(0.025, rel=1e-12)


def test_a_lesson_s_weight_and_a_scheme_s_own_terms_count(tmp_path: Path) -> None:
    """0.5 of one lesson, 2 of another, none of a third, and a term of the scheme's own."""

    def lessons(student: nn.Module, seen: TensorBatch) -> list[Lesson]:
        z = student(*seen.inputs)
        own = 0.1 * z.square().sum()
        return [
            Lesson({"student_logits": z, "labels": seen.targets["labels"]}, 0.5, {"size": own}),
            Lesson({"student_logits": 2 * z, "labels": seen.targets["labels"]}, 2.0),
            Lesson({"student_logits": z * float("inf"), "labels": seen.targets["labels"]}, 0.0),
        ]

    quiet = {"epochs": 1, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    made = run(tmp_path, data_example.LABELS_ALONE, Scheme(lessons, nn.ModuleDict()), **quiet)
    (row,) = fit(made)
    assert list(row)[:2] == ["cross-entropy", "size"]
    model, shown = net().train(), 0.0
    for images, labels in batches(0):
        z = model(images)
        model.zero_grad()
        first = F.cross_entropy(z, labels)
        (0.5 * first + 2 * F.cross_entropy(2 * z, labels) + 0.1 * z.square().sum()).backward()
        shown += first.item() / STEPS
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.05 * p.grad
    assert row["cross-entropy"] == pytest.approx(shown, rel=1e-5)
    for name, tensor in made.model.state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_what_is_not_filled_is_not_read(tmp_path: Path) -> None:
    """With every new tensor filled (with NaN) before it is written, the bytes are the same."""
    ends = []
    for filled in (False, True):

        def lessons(student: nn.Module, seen: TensorBatch, filled: bool = filled) -> list[Lesson]:
            assert not torch.utils.deterministic.fill_uninitialized_memory or filled
            torch.utils.deterministic.fill_uninitialized_memory = filled
            return taught(student, seen)

        terms = (term("cross-entropy", 0.5), term("kd", 0.5))
        made = run(tmp_path / str(filled), terms, Scheme(lessons, nn.ModuleDict()))
        made.model = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2, 1),
            net(),
        )
        torch.manual_seed(1)
        made.model[4][1] = nn.Linear(24, 5, bias=False)
        ends.append((fit(made), copy.deepcopy(made.model.state_dict())))
    assert ends[0][0] == ends[1][0]
    for name, tensor in ends[0][1].items():
        assert tensor.numpy().tobytes() == ends[1][1][name].numpy().tobytes(), name
