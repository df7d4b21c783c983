"""Losses find the layers they compare; what they train is apart, recorded and tried out beforehand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from edgekd.errors import InputError
from edgekd.learn.assembly import connection
from edgekd.learn.assembly.connection import Connection
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.teacher import run_teacher
from edgekd.learn.schemes.offline import offline
from edgekd.learn.settings import Losses
from edgekd.learn.settings import Term
from tests.learn import batch_example


def network(width: int) -> nn.Module:
    torch.manual_seed(width)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, 1, 1),
        nn.ReLU(),
        nn.Conv2d(width, 2 * width, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * width, 5),
    )


def terms(*written: Any) -> tuple[Term, ...]:
    return TypeAdapter(Losses).validate_python(list(written))


def connect(*written: Any, batch: int = 6, width: int = 3) -> Connection:
    student, teacher = network(width), network(4)
    images = torch.zeros(batch, 1, 8, 8)
    return connection.connect(terms(*written), student, teacher, images, classes=5, samples=20)


def one_batch() -> TensorBatch:
    torch.manual_seed(1)
    images, labels = torch.randn(6, 1, 8, 8), torch.randint(0, 5, (6,))
    return batch_example.tensor_batch(images, labels)


def test_answers_alone_need_no_taps() -> None:
    plain = connect("cross-entropy", "kd")
    assert not plain.taps and not plain.rows
    assert not plain.companions


def test_a_loss_is_summed_over_the_stages_and_each_has_its_projector() -> None:
    connected = connect(
        {
            "name": "fitnet",
            "layers": [{"student": "1", "teacher": "1"}, {"student": "3", "teacher": "3"}],
        }
    )
    assert [(row.student, row.teacher) for row in connected.rows] == [("1", "1"), ("3", "3")]
    assert all(row.companion_parameters > 0 for row in connected.rows)
    assert set(connected.companions) == {"fitnet-0", "fitnet-1"}
    assert "fitnet: student 1 [3, 8, 8] and teacher 1 [4, 8, 8]" in connected.rows[0].describe()


def test_equal_layers_need_no_projector() -> None:
    same = connect({"name": "fitnet", "layers": 1.0}, width=4)
    assert [row.companion_parameters for row in same.rows] == [0]


def test_a_step_reaches_student_and_companions_and_not_the_teacher() -> None:
    student, teacher = network(3), network(4)
    connected = connection.connect(
        terms("kd", {"name": "fitnet", "layers": 1.0}),
        student,
        teacher,
        torch.zeros(6, 1, 8, 8),
        classes=5,
        samples=20,
    )
    scheme = connected.add_to_scheme(offline(run_teacher(teacher, None)))
    lessons = scheme.lessons(student, one_batch())
    total, values = compute_lessons(connected.terms, lessons, 0.0)
    total.backward()
    assert set(values.shown) == {"kd", "fitnet"}
    assert all(p.grad is not None for p in student.parameters())
    assert all(p.grad is not None for p in scheme.companions.parameters())
    assert all(p.grad is None for p in teacher.parameters())


def test_the_value_is_that_of_the_pure_function() -> None:
    from edgekd.learn.losses.relation.similarities import sp

    student, teacher = network(3), network(4)
    connected = connection.connect(
        terms({"name": "sp", "weight": 2.0, "layers": 1.0}),
        student,
        teacher,
        torch.zeros(6, 1, 8, 8),
        classes=5,
        samples=20,
    )
    seen = one_batch()
    lessons = connected.add_to_scheme(offline(run_teacher(teacher, None))).lessons(student, seen)
    total, _ = compute_lessons(connected.terms, lessons, 0.0)
    inside = [net[:4](seen.inputs[0]) for net in (student, teacher)]
    assert total.item() == pytest.approx(2 * sp(*inside).item(), rel=1e-6)


def test_an_embedding_is_what_enters_the_classifier() -> None:
    (row,) = connect("rkd").rows
    assert (row.student, row.student_shape, row.teacher_shape) == ("6:input", (6, 6), (6, 8))


@pytest.mark.parametrize(
    ("written", "batch", "told"),
    [
        (
            {"name": "fitnet", "layers": {"student": "layer9", "teacher": "3"}},
            6,
            "no layer 'layer9'",
        ),
        ("rkd", 1, "loss rkd: got a batch of 1"),
    ],
)
def test_what_cannot_be_is_said_beforehand(written: Any, batch: int, told: str) -> None:
    with pytest.raises(InputError, match=told):
        connect(written, batch=batch)


def test_connecting_draws_no_random_numbers_but_for_companions() -> None:
    student, teacher, images = network(3), network(4), torch.zeros(6, 1, 8, 8)
    before = torch.get_rng_state()
    connection.connect(terms("kd", "rkd"), student, teacher, images, classes=5, samples=20)
    assert torch.equal(before, torch.get_rng_state())


def test_lessons_beyond_the_first_stay_as_they_were() -> None:
    student = network(4)
    connected = connect({"name": "sp", "layers": 1.0}, width=4)
    scheme = offline(lambda seen: torch.zeros(6, 5))
    lessons = scheme.lessons(student, one_batch())
    doubled = scheme._replace(lessons=lambda s, seen: [*lessons, Lesson({"a": torch.ones(1)})])
    first, second = connected.add_to_scheme(doubled).lessons(student, one_batch())
    assert set(second.signals) == {"a"} and "labels" in first.signals
