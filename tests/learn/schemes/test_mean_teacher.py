"""The moving average: how far it goes, that no gradient moves it, and that it stays when nothing trains."""

from __future__ import annotations

import torch

from edgekd.learn.schemes.mean_teacher import ema
from tests.learn.schemes import online_example as example


def test_the_true_average_until_the_decay_is_reached() -> None:
    student = example.network().train()
    scheme = ema(student, decay=0.6)
    weight = scheme.companions["average"].network.fc.weight
    want = 0.0
    for step, kept in enumerate([0.0, 1 / 2, 0.6, 0.6]):  # min(1 - 1 / (t + 1), 0.6)
        with torch.no_grad():
            student.fc.weight.fill_(step + 1.0)
        scheme.lessons(student, example.first())
        want = kept * want + (1 - kept) * (step + 1)
        assert torch.allclose(weight, torch.full_like(weight, want))


def test_the_teacher_s_logits_are_the_average_s() -> None:
    student, seen = example.network().train(), example.first()
    scheme = ema(student)
    (lesson,) = scheme.lessons(student, seen)
    assert torch.equal(lesson.signals["teacher_logits"], lesson.signals["student_logits"])
    with torch.no_grad():
        student.fc.bias += 1.0
    (lesson,) = scheme.lessons(student, seen)
    rise = lesson.signals["student_logits"] - lesson.signals["teacher_logits"]
    assert torch.allclose(rise, torch.full_like(rise, 0.5), atol=1e-5)


def test_the_optimizer_gets_nothing_of_it_and_the_checkpoint_all() -> None:
    student = example.network()
    scheme = ema(student)
    assert not any(p.requires_grad for p in scheme.companions.parameters())
    assert all(p.requires_grad for p in student.parameters())
    assert len(scheme.companions.state_dict()) == len(student.state_dict()) + 1


def test_it_stays_in_evaluation() -> None:
    student = example.network().eval()
    scheme = ema(student)
    with torch.no_grad():
        student.fc.bias += 1.0
    scheme.lessons(student, example.first())
    average = scheme.companions["average"]
    assert int(average.moves) == 0
    assert not torch.equal(average.network.fc.bias, student.fc.bias)


def test_a_copy_from_the_checkpoint_goes_on_as_if_nothing_had_been() -> None:
    runs = []
    for interrupted in (False, True):
        student = example.network().train()
        scheme = ema(student, decay=0.9)
        for step in range(6):
            if interrupted and step == 3:
                kept = {k: v.clone() for k, v in scheme.companions.state_dict().items()}
                scheme = ema(student, decay=0.9)
                scheme.companions.load_state_dict(kept)
            with torch.no_grad():
                student.fc.weight += 1.0
            scheme.lessons(student, example.first())
        runs.append(example.state(scheme.companions))
    assert runs[0] == runs[1]
