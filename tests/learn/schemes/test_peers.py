"""Mutual and collaborative learning, against sums written out."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn import functional as F

from edgekd.learn.schemes import SCHEMES
from edgekd.learn.schemes.peers import combine_logits
from edgekd.learn.schemes.peers import dml
from edgekd.learn.schemes.peers import kdcl
from edgekd.named_member import NamedMember
from tests.learn.schemes import online_example as example


def test_equal_networks_have_nothing_to_tell_one_another() -> None:
    student = example.network().train()
    scheme = dml(lambda number: copy.deepcopy(student), peers=2)
    lessons = scheme.lessons(student, example.first())
    assert len(lessons) == 6
    for lesson in lessons:
        given = lesson.signals
        kd = example.kd(given["student_logits"], given["teacher_logits"])
        assert kd.item() == pytest.approx(0, abs=1e-6)


def test_every_learner_hears_the_mean_of_the_others() -> None:
    student, seen = example.network().eval(), example.first()
    scheme = dml(example.peer, peers=2)
    learners = [student, *(example.peer(number).eval() for number in (1, 2))]
    answers = [learner(*seen.inputs) for learner in learners]
    want = 0.0
    for learner, own in enumerate(answers):
        heard = [example.kd(own, o).item() for n, o in enumerate(answers) if n != learner]
        want += F.cross_entropy(own, seen.targets["labels"]).item() + sum(heard) / 2
    assert example.total(scheme.lessons(student, seen)).item() == pytest.approx(want, rel=1e-5)


def test_peers_learn() -> None:
    run = example.drive(lambda student: dml(example.peer, peers=2))
    for number, learned in enumerate(run.scheme.companions["peers"], start=1):
        fresh = example.peer(number)
        for old, new in zip(fresh.parameters(), learned.parameters(), strict=True):
            assert not torch.equal(old, new)


LOGITS = torch.tensor(
    [
        [[3.0, 1.0, 0.0], [0.0, 2.0, 5.0]],
        [[1.0, 0.0, 0.5], [0.0, 4.0, 1.0]],
    ]
)
"""[learner, sample, class]"""
LABELS = torch.tensor([0, 1])


def test_naive_takes_the_learner_with_the_smaller_cross_entropy_sample_by_sample() -> None:
    told = combine_logits(list(LOGITS), LABELS, "naive")
    assert torch.equal(told, torch.stack([LOGITS[0, 0], LOGITS[1, 1]]))
    mixed = F.one_hot(LABELS, 3).float()
    assert torch.equal(combine_logits(list(LOGITS), mixed, "naive"), told)


def test_min_logit_takes_the_least_likely_class_by_class() -> None:
    # z - z_y: [0, -2, -3], [-2, 0, 3] and [0, -1, -.5], [-4, 0, -3]
    want = torch.tensor([[0.0, -2.0, -3.0], [-4.0, 0.0, -3.0]])
    assert torch.equal(combine_logits(list(LOGITS), LABELS, "min-logit"), want)


def test_min_logit_is_no_worse_than_any_learner() -> None:
    torch.manual_seed(3)
    answers, labels = list(torch.randn(4, 50, 10)), torch.arange(50) % 10
    told = combine_logits(answers, labels, "min-logit")
    losses = [F.cross_entropy(z, labels, reduction="none") for z in (told, *answers)]
    assert all(bool((losses[0] <= other + 1e-6).all()) for other in losses[1:])


def test_mean_is_of_the_logits() -> None:
    assert torch.equal(combine_logits(list(LOGITS), LABELS, "mean"), (LOGITS[0] + LOGITS[1]) / 2)


def test_one_teacher_for_all() -> None:
    student, seen = example.network().eval(), example.first()
    scheme = kdcl(example.peer, example.samples(), peers=2, rule="mean")
    lessons = scheme.lessons(student, seen)
    answers = [lesson.signals["student_logits"] for lesson in lessons]
    assert len(answers) == 3
    assert torch.equal(answers[2], example.peer(2).eval()(seen.inputs[0]))
    for lesson in lessons:
        want = torch.stack(answers).mean(0)
        assert torch.allclose(lesson.signals["teacher_logits"], want)


def test_unknown_rule() -> None:
    with pytest.raises(ValueError, match="rule: got 'best': .* 'min-logit', 'naive' or 'mean'"):
        NamedMember.parse({"name": "kdcl", "rule": "best"}, SCHEMES, "scheme")
