"""Exits at earlier stages: what they hear, and what hears nothing of them."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.schemes.exits import byot
from tests.learn.schemes import online_example as example

STAGES = example.KINDS["maps"].stages


def test_exits_hear_the_deepest_logits_and_features() -> None:
    student, seen = example.network().eval(), example.first()
    scheme = byot(student, example.samples(), STAGES, example.CPU, hint_weight=0.5)
    lessons = scheme.lessons(student, seen)
    logits = student(*seen.inputs)
    assert len(lessons) == 3
    assert torch.equal(lessons[0].signals["student_logits"], logits)
    assert lessons[0].own == {}
    assert [lesson.weight for lesson in lessons] == [1.0, 0.7, 0.7]
    hidden = student.relu(student.bn1(student.conv1(seen.inputs[0])))
    stages = [hidden := student.get_submodule(stage)(hidden) for stage in STAGES]
    for number, leave in enumerate(scheme.companions["exits"], start=1):
        lesson = lessons[number]
        assert torch.equal(lesson.signals["teacher_logits"], logits)
        assert not torch.allclose(lesson.signals["student_logits"], logits)
        vectors, answer = leave(stages[number - 1])
        assert torch.allclose(lesson.signals["student_logits"], answer, atol=1e-6)
        squares = (vectors - stages[-1].mean((2, 3))) ** 2
        want = 0.5 * squares.detach().sum().item() / example.BATCH
        assert lesson.own[f"hint-{number}"].item() == pytest.approx(want, rel=1e-5)


def test_what_teaches_is_not_moved_by_what_it_teaches() -> None:
    student = example.network().train()
    scheme = byot(student, example.samples(), STAGES, example.CPU)
    first, *exits = scheme.lessons(student, example.first())
    example.total(exits).backward()
    assert student.layer2[0].conv1.weight.grad is not None
    assert student.layer3[0].conv1.weight.grad is None
    assert student.fc.weight.grad is None


def test_without_hints() -> None:
    student = example.network()
    scheme = byot(student, example.samples(), STAGES, example.CPU, hint_weight=0.0)
    assert all(not lesson.own for lesson in scheme.lessons(student, example.first()))


def test_an_exit_sees_the_map_at_the_size_of_the_deepest() -> None:
    student = example.network()
    scheme = byot(student, example.samples(), STAGES, example.CPU)
    seen = []
    for leave in scheme.companions["exits"]:
        leave.bottleneck.register_forward_hook(lambda m, i, o: seen.append(tuple(i[0].shape[2:])))
    scheme.lessons(student, example.first())
    assert seen == [(2, 2), (2, 2)]
