"""Robust schemes: what is attacked, who teaches on which images, and their equations written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.attack import PixelRange
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes import robust
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember
from edgekd.table import Member
from edgekd.table import find_signature
from tests.learn.schemes import online_example as example

SMALL: dict[str, Any] = {"epsilon": 0.05, "step": 0.02, "steps": 3}
MAKE: dict[str, Callable[..., Scheme]] = {
    "adversarial": lambda student, **knobs: robust.adversarial(student, example.samples(), **knobs),
    "ard": lambda student, **knobs: robust.ard(student, teach, example.samples(), **knobs),
    "rslad": lambda student, **knobs: robust.rslad(student, teach, example.samples(), **knobs),
}
every = pytest.mark.parametrize("name", sorted(MAKE))


def teach(seen: TensorBatch) -> Tensor:
    """Another network, on the images that are seen."""
    with torch.no_grad():
        answer: Tensor = example.network(7).eval()(seen.inputs[0])
    return answer


def term(name: str, **knobs: Any) -> Term:
    return Term(loss=NamedMember.parse({"name": name, **knobs}, LOSSES, "loss"))


class Watched(nn.Module):
    """The student as the loop wraps it; keeps what it was shown."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student
        self.shown: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shown.append(images)
        answer: Tensor = self.student(images)
        return answer


def settled() -> nn.Module:
    """In evaluation mode: its answers can be asked for again."""
    return example.network().eval()


@every
def test_the_images_are_moved_within_epsilon_and_pixels(name: str) -> None:
    student, seen = settled(), example.first()
    watched = Watched(student)
    MAKE[name](student, **SMALL).lessons(watched, seen)
    moved = watched.shown[0]
    pixels = PixelRange.of(example.samples().image)
    assert float((moved - seen.inputs[0]).abs().max()) == pytest.approx(0.05 / 0.3, rel=1e-4)
    assert bool(((moved >= pixels.lowest) & (moved <= pixels.highest)).all())


@pytest.mark.parametrize("name", ["adversarial", "ard"])
def test_the_attack_makes_the_cross_entropy_large(name: str) -> None:
    student, seen = settled(), example.first()
    watched = Watched(student)
    (lesson,) = MAKE[name](student, **SMALL | {"random_start": False}).lessons(watched, seen)
    x = seen.inputs[0].clone().requires_grad_()
    F.cross_entropy(student(x), seen.targets["labels"]).backward()
    one_step = MAKE[name](student, **SMALL | {"steps": 1, "random_start": False})
    one_step.lessons(watched, seen)
    assert x.grad is not None
    rise = (watched.shown[-1] - seen.inputs[0]) * x.grad.sign()
    assert float(rise.min()) >= 0 and float(rise.mean()) > 0
    before = F.cross_entropy(student(*seen.inputs), seen.targets["labels"])
    assert F.cross_entropy(lesson.signals["student_logits"], seen.targets["labels"]) > before + 0.01


def test_rslad_attacks_the_distance_to_the_teacher_and_not_to_the_labels() -> None:
    student, seen = settled(), example.first()
    watched = Watched(student)
    lessons = robust.rslad(
        student, teach, example.samples(), **SMALL | {"steps": 1, "random_start": False}
    ).lessons(watched, seen)
    x, told = seen.inputs[0].clone().requires_grad_(), teach(seen)
    example.kd(student(x), told, temperature=1.0).backward()
    assert x.grad is not None
    rise = (watched.shown[0] - seen.inputs[0]) * x.grad.sign()
    assert float(rise.min()) >= 0 and float(rise.mean()) > 0
    moved, clean = (lesson.signals["student_logits"] for lesson in lessons)
    assert example.kd(moved, told, 1.0) > example.kd(clean, told, 1.0)


@pytest.mark.parametrize("alpha", [1.0, 0.7])
def test_ard_is_its_equation(alpha: float) -> None:
    student, seen = settled(), example.first()
    watched, told = Watched(student), teach(seen)
    scheme = robust.ard(student, teach, example.samples(), alpha=alpha, **SMALL)
    lessons = scheme.lessons(watched, seen)
    total, values = compute_lessons(bind_terms([term("kd", temperature=5.0)]), lessons, 0.0)
    want = alpha * example.kd(student(watched.shown[0]), told, temperature=5.0)
    want = want + (1 - alpha) * F.cross_entropy(student(*seen.inputs), seen.targets["labels"])
    assert total.item() == pytest.approx(want.item(), rel=1e-5)
    assert ("clean" in values.shown) == (alpha < 1)
    assert torch.equal(lessons[0].signals["teacher_logits"], told)  # of the clean images
    assert len(watched.shown) == (1 if alpha == 1 else 2)


def test_rslad_is_its_equation() -> None:
    student, seen = settled(), example.first()
    watched, told = Watched(student), teach(seen)
    lessons = robust.rslad(student, teach, example.samples(), **SMALL).lessons(watched, seen)
    total, _ = compute_lessons(bind_terms([term("kd", temperature=1.0)]), lessons, 0.0)
    on_moved, on_clean = (
        example.kd(student(x), told, temperature=1.0) for x in (watched.shown[0], seen.inputs[0])
    )
    assert total.item() == pytest.approx((5 * on_moved + on_clean).item() / 6, rel=1e-5)
    assert torch.equal(watched.shown[1], seen.inputs[0])


@every
@pytest.mark.trains
def test_it_learns_and_the_same_again(name: str) -> None:
    def make(student: nn.Module) -> Scheme:
        torch.manual_seed(3)
        return MAKE[name](student, **SMALL | {"steps": 2})

    runs = [example.drive(make, epochs=3) for _ in range(2)]
    assert sum(runs[0].losses[-4:]) < 0.9 * sum(runs[0].losses[:4])
    assert example.state(runs[0].student) == example.state(runs[1].student)


@every
def test_the_attack_leaves_no_trace_in_the_student(name: str) -> None:
    """Batch norms hear what the lessons show, never the attack's steps."""
    one, many = (example.network().train() for _ in range(2))
    for student, steps in ((one, 1), (many, 5)):
        torch.manual_seed(0)
        knobs = {"epsilon": 0.0, "step": 0.01, "steps": steps}
        MAKE[name](student, **knobs).lessons(student, example.first())
        assert student.training and all(p.grad is None for p in student.parameters())
    assert example.state(one) == example.state(many)
    before = example.state(settled_one := example.network().eval())
    with torch.no_grad():
        MAKE[name](settled_one, **SMALL).lessons(settled_one, example.first())
    assert example.state(settled_one) == before


@every
def test_half_precision_is_no_obstacle(name: str) -> None:
    student, seen = example.network().train(), example.first()
    with torch.autocast("cpu", torch.bfloat16):
        lessons = MAKE[name](student, **SMALL).lessons(student, seen)
    total, _ = compute_lessons(bind_terms([term("cross-entropy")]), lessons, 0.0)
    total.backward()
    assert bool(total.isfinite()) and total.dtype == torch.float32


@every
def test_mixed_labels_are_no_obstacle(name: str) -> None:
    samples, student = example.samples(mixup=0.3), example.network().train()
    seen = example.seen(samples.batch(np.arange(example.BATCH), 0))
    assert seen.targets["labels"].ndim == 2
    lessons = MAKE[name](student, **SMALL).lessons(student, seen)
    total, _ = compute_lessons(bind_terms([term("cross-entropy")]), lessons, 0.0)
    total.backward()
    assert bool(total.isfinite()) and all(p.grad is not None for p in student.parameters())


@pytest.mark.parametrize(
    ("function", "asks"),
    [
        ("adversarial", ("student", "samples")),
        ("ard", ("student", "teacher_function", "samples")),
        ("rslad", ("student", "teacher_function", "samples")),
    ],
)
def test_a_recipe_can_say_the_knobs(function: str, asks: tuple[str, ...]) -> None:
    member = Member("edgekd.learn.schemes.robust", function, "")
    found = find_signature(member)
    assert found.positional == asks
    knobs = found.knobs()
    assert knobs.model_dump()["epsilon"] == pytest.approx(8 / 255)
    assert knobs.model_dump()["step"] == pytest.approx(2 / 255)
