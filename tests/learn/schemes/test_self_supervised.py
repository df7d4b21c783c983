"""The scheme with rotated images: its terms image by image, and whom each of them moves."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.schemes.self_supervised import self_supervised
from tests.learn.schemes import online_example as example

TEACHER = 7
IMAGES = 4


def made(student: nn.Module, kind: str = "maps", **knobs: float) -> tuple[Scheme, nn.Module]:
    teacher = example.network(TEACHER, kind).eval().requires_grad_(False)
    torch.manual_seed(0)
    return self_supervised(student, teacher, example.samples(), example.CPU, **knobs), teacher


def only(scheme: Scheme, student: nn.Module, epoch: float = 4.0) -> Lesson:
    (lesson,) = scheme.lessons(student, example.first(range(IMAGES), epoch=epoch))
    return lesson


def embedding(model: nn.Module, image: Tensor) -> Tensor:
    """What enters the last linear layer."""
    caught: list[Tensor] = []
    last = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    handle = last.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    model(image)
    handle.remove()
    return caught[0][0]


def kl(student: list[Tensor], teacher: list[Tensor], temperature: float) -> float:
    total = 0.0
    for ours, theirs in zip(student, teacher, strict=True):
        p, q = ((row / temperature).softmax(0) for row in (theirs, ours))
        total += (p * (p / q).log()).sum().item() * temperature**2
    return total / len(student)


@pytest.mark.parametrize("kind", sorted(example.KINDS))
def test_terms_image_by_image(kind: str) -> None:
    student = example.network(0, kind).eval()
    scheme, teacher = made(student, kind, kept_share=0.5)
    lesson = only(scheme, student)
    images = example.first(range(IMAGES)).inputs[0]
    logits: dict[str, list[Tensor]] = {"student": [], "teacher": []}
    cosines: dict[str, list[Tensor]] = {"student": [], "teacher": []}
    with torch.no_grad():
        for name, model in (("student", student), ("teacher", teacher)):
            head = scheme.companions[f"{name}_head"]
            upright = [head(embedding(model, images[b : b + 1])) for b in range(IMAGES)]
            for turn in (1, 2, 3):
                for b in range(IMAGES):
                    view = torch.rot90(images[b : b + 1], turn, (2, 3))
                    logits[name].append(model(view)[0])
                    mine = head(embedding(model, view))
                    row = [F.cosine_similarity(mine, u, 0) for u in upright]
                    cosines[name].append(torch.stack(row))
        want = [model(images) for model in (student, teacher)]
    ranks = [int((row > row[i % IMAGES]).sum()) for i, row in enumerate(cosines["teacher"])]
    wrong = sum(rank > 0 for rank in ranks)
    order = sorted(range(len(ranks)), key=lambda i: ranks[i])[: len(ranks) - wrong + wrong // 2]
    kept = [[cosines[name][i] for i in order] for name in ("student", "teacher")]
    named = [-row.log_softmax(0)[i % IMAGES].item() for i, row in enumerate(cosines["teacher"])]
    assert 0 < wrong < len(ranks)
    assert {name: term.item() for name, term in lesson.own.items()} == pytest.approx(
        {
            "pretext": sum(named) / len(named),
            "transformed": 2.7 * kl(logits["student"], logits["teacher"], 4.0),
            "similarity": 10 * kl(*kept, 0.5),
        },
        rel=1e-3,
    )
    assert torch.allclose(lesson.signals["student_logits"], want[0], atol=1e-5)
    assert torch.allclose(lesson.signals["teacher_logits"], want[1], atol=1e-5)
    assert lesson.signals["labels"].shape == (IMAGES,)


def moved(loss: Tensor, *modules: nn.Module) -> list[bool]:
    """Which modules a term has a gradient in."""
    for module in modules:
        module.zero_grad()
    loss.backward(retain_graph=True)
    grads = [[p.grad for p in module.parameters()] for module in modules]
    return [any(g is not None and bool(g.abs().sum() > 0) for g in side) for side in grads]


def test_each_term_moves_what_it_should() -> None:
    student = example.network()
    scheme, teacher = made(student)
    own = only(scheme, student).own
    sides = (student, scheme.companions["student_head"], scheme.companions["teacher_head"])
    assert moved(own["pretext"], *sides) == [False, False, True]
    assert moved(own["transformed"], *sides) == [True, False, False]
    assert moved(own["similarity"], *sides) == [True, True, False]
    assert all(p.grad is None for p in teacher.parameters())
    assert not teacher.training


def test_the_likeness_waits_until_the_teacher_s_head_has_learnt() -> None:
    student = example.network().eval()
    scheme, _ = made(student, head_share=0.25)
    # Of 8 epochs.
    assert only(scheme, student, epoch=1.9).own["similarity"].item() == 0
    assert only(scheme, student, epoch=2.0).own["similarity"].item() > 0
    assert math.isfinite(only(scheme, student, epoch=0.0).own["pretext"].item())


def test_a_student_that_is_the_teacher_has_no_soft_targets_to_learn() -> None:
    student = example.network(TEACHER).eval()
    scheme, _ = made(student)
    own = only(scheme, student).own
    assert own["transformed"].item() == pytest.approx(0, abs=1e-5)
    scheme.companions["student_head"].load_state_dict(
        scheme.companions["teacher_head"].state_dict()
    )
    assert only(scheme, student).own["similarity"].item() == pytest.approx(0, abs=1e-5)


def test_the_model_that_is_called_may_wrap_the_one_that_is_read() -> None:
    student = example.network().eval()
    scheme, _ = made(student)
    wrapped = nn.Sequential(student)
    one, other = only(scheme, student), only(scheme, wrapped)
    assert one.own["similarity"].item() == pytest.approx(other.own["similarity"].item())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in student.modules())


@pytest.mark.trains
def test_the_teacher_s_head_learns_to_name_the_origin() -> None:
    student = example.network()
    scheme, _ = made(student)
    optimizer = torch.optim.Adam(scheme.companions.parameters(), 0.01)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = only(scheme, student).own["pretext"]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_images_that_are_not_square_are_refused() -> None:
    student, data = example.network(), example.samples()
    half = dataclasses.replace(data.image, height=4)
    found = dataclasses.replace(data.dataset, inputs={"images": half})
    tall = dataclasses.replace(data, dataset=found)
    with pytest.raises(ValueError, match="want square ones"):
        self_supervised(student, student, tall, example.CPU)
