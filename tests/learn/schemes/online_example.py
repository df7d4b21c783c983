"""A small student, a small task and a plain loop for the schemes that need no finished teacher."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.fields.image import Image
from edgekd.learn.data.loader import Batch
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.loader import epoch_batches
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.models.resnet import resnet
from edgekd.learn.models.vit import vit
from edgekd.learn.view_settings import Views
from tests import data_example
from tests.learn import batch_example

CLASSES, SIDE, BATCH = 4, 8, 16
SHAPE = {"classes": CLASSES, "channels": 1, "height": SIDE, "width": SIDE}
CPU = torch.device("cpu")


class Kind(NamedTuple):
    """A network and where its stages end."""

    build: Callable[[], nn.Module]
    stages: tuple[str, ...]


KINDS = {
    "maps": Kind(lambda: resnet(**SHAPE, depth=8, base=8), ("layer1", "layer2", "layer3")),
    "tokens": Kind(
        lambda: vit(**SHAPE, dim=12, depth=3, heads=2), ("layers.0", "layers.1", "layers.2")
    ),
}


def network(number: int = 0, kind: str = "maps") -> nn.Module:
    torch.manual_seed(100 + number)
    return KINDS[kind].build()


def peer(number: int) -> nn.Module:
    return network(number)


def samples(**views: float) -> Samples:
    """One bright row says the class."""
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, 96)
    images = random.integers(0, 100, (96, SIDE, SIDE, 1), dtype=np.uint8)
    images[np.arange(96), 2 * labels] = 250
    return data_example.samples(
        images=images,
        labels=labels,
        classes=CLASSES,
        image=Image(height=SIDE, width=SIDE, channels=1, mean=(0.3,), std=(0.3,)),
        views=Views(count=2, **views),
        seed=5,
    )


def seen(batch: Batch, epoch: float = 0.0) -> TensorBatch:
    return batch_example.as_tensors(batch, epoch, 8)


def first(indices: Sequence[int] = range(BATCH), view: int = 0, epoch: float = 0.0) -> TensorBatch:
    return seen(samples().batch(np.array(indices), view), epoch)


def kd(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """T^2 KL, written out."""
    p, q = (F.log_softmax(logits / temperature, 1) for logits in (teacher, student))
    return (p.exp() * (p - q)).sum(1).mean() * temperature**2


def total(lessons: Sequence[Lesson]) -> Tensor:
    """Cross-entropy and kd of every lesson, and the scheme's own terms."""
    terms = []
    for lesson in lessons:
        given = lesson.signals
        value = F.cross_entropy(given["student_logits"], given["labels"])
        if "teacher_logits" in given:
            assert not given["teacher_logits"].requires_grad
            value = value + kd(given["student_logits"], given["teacher_logits"])
        terms += [lesson.weight * value, *lesson.own.values()]
    return torch.stack(terms).sum()


class Driven(NamedTuple):
    """What came of a few epochs."""

    losses: list[float]
    """The student's cross-entropy at each step."""
    student: nn.Module
    scheme: Scheme


def drive(make: Callable[[nn.Module], Scheme], *, kind: str = "maps", epochs: int = 3) -> Driven:
    """Train with plain SGD as the loop does: companions in the optimizer, only the student's mode set."""
    student = network(0, kind)
    scheme = make(student)
    everything = [*student.parameters(), *scheme.companions.parameters()]
    optimizer = torch.optim.SGD([p for p in everything if p.requires_grad], lr=0.05, momentum=0.9)
    losses = []
    for epoch in range(epochs):
        student.train()
        for batch in epoch_batches(
            samples(), epoch=epoch, batch_size=BATCH, seed=0, start=0, workers=0
        ):
            lessons = scheme.lessons(student, seen(batch, float(epoch)))
            optimizer.zero_grad()
            total(lessons).backward()
            optimizer.step()
            mine = lessons[0].signals
            losses.append(F.cross_entropy(mine["student_logits"], mine["labels"]).item())
    return Driven(losses, student, scheme)


def state(*modules: nn.Module) -> dict[str, bytes]:
    """Everything the modules hold, to compare to the last bit."""
    return {
        f"{number}.{name}": tensor.detach().numpy().tobytes()
        for number, module in enumerate(modules)
        for name, tensor in module.state_dict().items()
    }
