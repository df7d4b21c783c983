"""Generators beside the student: who learns from what, and that no training image is looked at."""

from __future__ import annotations

from typing import Any
from typing import cast

import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes import data_free
from edgekd.learn.synthesis import losses
from tests.learn import batch_example
from tests.learn.synthesis import digits_example as example

SMALL = {"noise": 16, "width": 8}
BUILDERS = {"dafl": data_free.dafl, "zskt": data_free.zskt, "dfad": data_free.dfad}
DISTANCES = {"zskt": losses.divergence, "dfad": losses.absolute_difference}
ADVERSARIES = sorted(DISTANCES)


def seen(count: int = 8, value: float = 0.0) -> TensorBatch:
    """A batch with nothing in it."""
    images = torch.full((count, 1, 8, 8), value)
    return batch_example.tensor_batch(images, torch.zeros(count, dtype=torch.int64))


def built(name: str, **knobs: Any) -> tuple[Scheme, nn.Module]:
    """A scheme with its generator, and a student."""
    torch.manual_seed(0)
    student = example.network(base=4).train()
    build = cast(Any, BUILDERS[name])
    made = build(example.teacher(), example.split()[0], example.CPU, **{**SMALL, **knobs})
    return made, student


def only(scheme: Scheme, student: nn.Module, given: TensorBatch) -> Lesson:
    (lesson,) = scheme.lessons(student, given)
    return lesson


def kd(lesson: Lesson) -> Tensor:
    one, other = (lesson.signals[f"{who}_logits"] / 4 for who in ("student", "teacher"))
    log_s, log_t = F.log_softmax(one, 1), F.log_softmax(other, 1)
    return 16 * F.kl_div(log_s, log_t, reduction="batchmean", log_target=True)


def trained(name: str, steps: int, rate: float, **knobs: Any) -> tuple[nn.Module, Scheme]:
    """One optimizer for both, as the loop has it."""
    scheme, student = built(name, **knobs)
    learning = [*student.parameters(), *scheme.companions.parameters()]
    optimizer = torch.optim.SGD(learning, lr=rate, momentum=0.9, nesterov=True)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        student.train()
        lesson = only(scheme, student, seen(64))
        optimizer.zero_grad()
        sum(lesson.own.values(), kd(lesson)).backward()
        optimizer.step()
        falling.step()
    return student, scheme


@pytest.mark.parametrize(
    ("name", "knobs"), [("dafl", {"feature": 0.1}), ("zskt", {}), ("dfad", {})]
)
@pytest.mark.trains
def test_a_student_that_saw_no_digit_reads_digits(name: str, knobs: dict[str, float]) -> None:
    """In 100 steps of 64; chance is 0.1."""
    student, _ = trained(name, 100, 0.1, **knobs)
    assert example.accuracy(student) > 0.2


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_signals_are_the_student_s_alone(name: str) -> None:
    scheme, student = built(name)
    lesson = only(scheme, student, seen())
    told = lesson.signals["teacher_logits"]
    assert set(lesson.signals) == {"student_logits", "teacher_logits", "labels", "label_indices"}
    assert not told.requires_grad and torch.equal(lesson.signals["labels"], told.argmax(1))
    kd(lesson).backward()
    assert all(p.grad is not None for p in student.parameters())
    assert all(p.grad is None for p in scheme.companions.parameters())


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_generator_learns_and_the_teacher_does_not(name: str) -> None:
    before = {key: value.clone() for key, value in example.teacher().state_dict().items()}
    student, scheme = trained(name, 3, 0.01)
    fresh, _ = built(name)
    old, new = fresh.companions.state_dict(), scheme.companions.state_dict()
    moved = [key for key in old if not torch.equal(old[key], new[key])]
    assert any(key.startswith("generator.first") for key in moved)
    after = example.teacher().state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(p.grad is None for p in example.teacher().parameters())
    assert set(student.state_dict()) == set(example.network(base=4).state_dict())


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_of_the_batch_only_its_size_is_used(name: str) -> None:
    given = []
    for value in (0.0, float("nan")):
        scheme, student = built(name)
        lesson = only(scheme, student, seen(5, value))
        given.append(
            torch.cat((lesson.signals["student_logits"], lesson.signals["teacher_logits"]))
        )
    assert given[0].shape == (10, 10) and torch.equal(given[0], given[1])


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_seed_is_its_weights(name: str) -> None:
    one, other = (trained(name, 4, 0.01)[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_a_rehearsal_changes_nothing(name: str) -> None:
    scheme, student = built(name)
    both = nn.ModuleList([student.eval(), scheme.companions])
    before = {key: value.clone() for key, value in both.state_dict().items()}
    for count in (1, 4):
        only(scheme, student, seen(count))
    with torch.no_grad():
        assert not only(scheme, student, seen()).signals["student_logits"].requires_grad
    after = both.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_dafl_s_terms_are_the_losses_weighted() -> None:
    words = {"one_hot": 2.0, "entropy": 3.0, "activation": 0.5, "feature": 0.25}
    scheme, student = built("dafl", **words)
    lesson = only(scheme, student, seen(16))
    own = {name: float(value.detach()) for name, value in lesson.own.items()}
    told = lesson.signals["teacher_logits"]
    assert set(own) == {"dafl-one-hot", "dafl-entropy", "dafl-activation", "dafl-feature"}
    assert own["dafl-one-hot"] == pytest.approx(2 * float(losses.one_hot(told)), rel=1e-6)
    assert own["dafl-entropy"] == pytest.approx(3 * float(losses.information_entropy(told)))
    assert own["dafl-activation"] < 0 < own["dafl-feature"]


@pytest.mark.parametrize("name", ADVERSARIES)
def test_the_generator_climbs_what_the_student_descends(name: str) -> None:
    """Against the gradient of the plain distance, from the same noise."""
    scheme, student = built(name, adversary=2.0, taught=3.0)
    torch.manual_seed(7)
    lesson = only(scheme, student, seen())
    lesson.own[f"{name}-generator"].backward(retain_graph=True)
    made = scheme.companions["generator"]
    got = [p.grad.clone() for p in made.parameters() if p.grad is not None]
    assert all(p.grad is None for p in student.parameters())
    lesson.own[name].backward()
    learnt = [p.grad.clone() for p in student.parameters() if p.grad is not None]

    scheme, student = built(name)
    made = scheme.companions["generator"].train()
    torch.manual_seed(7)
    images = made(torch.randn(8, SMALL["noise"]))
    distance = DISTANCES[name](student(images), example.teacher()(images))
    climbed = torch.autograd.grad(distance, [*made.parameters()], retain_graph=True)
    for one, other in zip(got, climbed, strict=True):
        assert torch.allclose(one, -2 * other, rtol=1e-4, atol=1e-6)
    descended = torch.autograd.grad(distance, [*student.parameters()])
    for one, other in zip(learnt, descended, strict=True):
        assert torch.allclose(one, 3 * other, rtol=1e-4, atol=1e-6)
    value = lesson.own[f"{name}-generator"].detach() / 2
    assert value == pytest.approx(float(distance.detach()), rel=1e-5)


@pytest.mark.parametrize("name", ADVERSARIES)
def test_the_generator_has_one_turn_in_several(name: str) -> None:
    scheme, student = built(name, student_steps=3)
    turns = []
    for _ in range(7):
        lesson = only(scheme, student, seen())
        turns.append(f"{name}-generator" in lesson.own)
        assert name in lesson.own
    assert turns == [True, False, False, True, False, False, True]
    assert int(scheme.companions.state_dict()["turns.steps"]) == 7
    scheme, student = built(name, taught=0.0)
    assert set(only(scheme, student, seen()).own) == {f"{name}-generator"}
    assert all(p.requires_grad for p in student.parameters())


def test_what_a_teacher_lacks_is_said() -> None:
    samples = example.split()[0]
    plain = example.teacher(plain=True)
    assert data_free.dafl(plain, samples, example.CPU).companions
    with pytest.raises(ValueError, match="without batch normalization, want feature: 0"):
        data_free.dafl(plain, samples, example.CPU, feature=1.0)
    with pytest.raises(ValueError, match="want activation: 0"):
        data_free.dafl(nn.Flatten(), samples, example.CPU)
