"""What holds for every scheme that needs no finished teacher, on maps and on tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgekd.learn.method.scheme import Scheme
from edgekd.learn.schemes.exits import byot
from edgekd.learn.schemes.mean_teacher import ema
from edgekd.learn.schemes.native_ensemble import native_ensemble
from edgekd.learn.schemes.own_ranks import uskd
from edgekd.learn.schemes.peers import dml
from edgekd.learn.schemes.peers import kdcl
from edgekd.learn.schemes.same_class import cs_kd
from edgekd.learn.schemes.virtual_teacher import tf_kd
from tests.learn.schemes import online_example as example

Make = Callable[[nn.Module], Scheme]
MIXED = {"mixup": 0.2}


def made(name: str, kind: str, **views: float) -> Make:
    """The scheme's builder, given what it asks for."""
    data, stages, device = example.samples(**views), example.KINDS[kind].stages, example.CPU

    def peer(number: int) -> nn.Module:
        return example.network(number, kind)

    makers: dict[str, Make] = {
        "dml": lambda student: dml(peer, peers=2),
        "kdcl": lambda student: kdcl(peer, data, peers=2),
        "kdcl-naive": lambda student: kdcl(peer, data, rule="naive"),
        "one": lambda student: native_ensemble(student, peer, data, stages, device),
        "byot": lambda student: byot(student, data, stages, device),
        "tf-kd": lambda student: tf_kd(data),
        "cs-kd": lambda student: cs_kd(data),
        "uskd": lambda student: uskd(student, data, stages, device),
        "ema": lambda student: ema(student, decay=0.9),
    }
    return makers[name]


NAMES = ("dml", "kdcl", "kdcl-naive", "one", "byot", "tf-kd", "cs-kd", "uskd", "ema")
every = pytest.mark.parametrize("name", NAMES)
kinds = pytest.mark.parametrize("kind", sorted(example.KINDS))


@every
@kinds
@pytest.mark.trains
def test_it_learns_and_the_same_again(name: str, kind: str) -> None:
    one_run, again = (example.drive(made(name, kind), kind=kind) for _ in range(2))
    assert sum(one_run.losses[-4:]) < 0.8 * sum(one_run.losses[:4])
    states = [example.state(run.student, run.scheme.companions) for run in (one_run, again)]
    assert states[0] == states[1]
    plain = example.network(0, kind).state_dict()
    assert one_run.student.state_dict().keys() == plain.keys()  # nothing of the scheme ships


@every
@kinds
def test_gradients_reach_the_student_and_all_that_learns(name: str, kind: str) -> None:
    student = example.network(0, kind).train()
    scheme = made(name, kind)(student)
    for parameter in scheme.companions.parameters():
        if parameter.ndim == 1:  # fresh norms: a scale of 1 may hide what a shift gets
            torch.nn.init.uniform_(parameter.data, 0.5, 1.5)
    example.total(scheme.lessons(student, example.first())).backward()
    for module in (student, scheme.companions):
        for path, parameter in module.named_parameters():
            if parameter.requires_grad and not unused(name, kind, path):
                assert parameter.grad is not None, path
                # A key's bias shifts all scores of a row alike.
                assert bool(parameter.grad.any()) or path.endswith("key.bias"), path


def unused(name: str, kind: str, path: str) -> bool:
    """Of a vision transformer's branch, its own positions: the student's trunk has them."""
    return name == "one" and kind == "tokens" and path.endswith("positions")


@every
@kinds
def test_the_first_lesson_is_the_student_s_and_evaluation_leaves_no_trace(
    name: str, kind: str
) -> None:
    student = example.network(0, kind)
    scheme = made(name, kind)(student)
    student.eval()
    before = example.state(student, scheme.companions)
    seen = example.first()
    with torch.no_grad():
        lessons = scheme.lessons(student, seen)
        assert torch.equal(lessons[0].signals["student_logits"], student(*seen.inputs))
    assert example.state(student, scheme.companions) == before
    for lesson in lessons:
        assert torch.equal(lesson.signals["labels"], seen.targets["labels"])
        assert torch.equal(lesson.signals["label_indices"], seen.targets["labels"])
        assert torch.isfinite(lesson.signals["student_logits"]).all()


@every
def test_building_leaves_no_trace_in_the_student(name: str) -> None:
    student = example.network().train()
    student.get_submodule("bn1").eval()  # one that stays frozen
    before = example.state(student)
    scheme = made(name, "maps")(student)
    assert example.state(student) == before
    assert student.training and not student.get_submodule("bn1").training
    scheme.lessons(student, example.first())
    assert not any(module._forward_hooks for module in student.modules())


@pytest.mark.parametrize("name", ["dml", "kdcl", "one", "byot", "ema"])
def test_companions_train_with_the_student(name: str) -> None:
    student = example.network()
    scheme = made(name, "maps")(student)
    for training in (False, True):
        student.train(training)
        scheme.lessons(student, example.first())
        inner = [m for child in scheme.companions.values() for m in child.modules()]
        assert all(module.training == training for module in inner)


@pytest.mark.parametrize("name", ["kdcl", "tf-kd", "cs-kd", "uskd"])
def test_samples_of_several_classes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="want one class each"):
        made(name, "maps", **MIXED)(example.network())


@pytest.mark.parametrize("name", ["one", "byot", "uskd"])
def test_one_stage_is_too_few(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = example.Kind(example.KINDS["maps"].build, ("layer3",))
    monkeypatch.setitem(example.KINDS, "maps", kind)
    with pytest.raises(ValueError, match="got 1 stages"):
        made(name, "maps")(example.network())


@every
def test_half_precision_of_the_student_is_no_obstacle(name: str) -> None:
    student = example.network()
    scheme = made(name, "maps")(student)

    class Wrapped(nn.Module):
        """As the loop wraps it: half precision inside, float32 outside."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = student

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            with torch.autocast("cpu", torch.bfloat16):
                answer: torch.Tensor = self.inner(images)
            return answer.float()

    lessons = scheme.lessons(Wrapped().train(), example.first())
    loss = example.total(lessons)
    loss.backward()
    assert loss.dtype == torch.float32 and bool(loss.isfinite())
