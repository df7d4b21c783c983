"""Branches and their gate: one trunk, run once; the teacher is the gated mean."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.method.scheme import Scheme
from edgekd.learn.schemes.native_ensemble import combine_by_gate
from edgekd.learn.schemes.native_ensemble import native_ensemble
from tests.learn.schemes import online_example as example

STAGES = example.KINDS["maps"].stages
TRUNK = ("conv1", "bn1", "relu", "layer1", "layer2")


def ensemble(student: nn.Module, stages: tuple[str, ...] = STAGES) -> Scheme:
    return native_ensemble(student, example.peer, example.samples(), stages, example.CPU)


def whole_branch(student: nn.Module, number: int) -> nn.Module:
    """A network with the trunk of one and the rest of another, the plain way."""
    network = example.peer(number)
    for name in TRUNK:
        setattr(network, name, copy.deepcopy(student.get_submodule(name)))
    return network.eval()


def test_a_branch_is_a_peer_on_the_student_s_trunk() -> None:
    student, seen = example.network().eval(), example.first()
    lessons = ensemble(student).lessons(student, seen)
    for number in (1, 2):
        want = whole_branch(student, number)(seen.inputs[0])
        assert torch.allclose(lessons[number].signals["student_logits"], want, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(example.KINDS))
def test_a_branch_of_a_copy_answers_as_the_student(kind: str) -> None:
    student, seen = example.network(0, kind).eval(), example.first()

    def copied(number: int) -> nn.Module:
        return copy.deepcopy(student)

    scheme = native_ensemble(
        student, copied, example.samples(), example.KINDS[kind].stages, example.CPU
    )
    own, *branches, _ = (x.signals["student_logits"] for x in scheme.lessons(student, seen))
    assert len(branches) == 2
    assert all(torch.equal(branch, own) for branch in branches)


def test_the_teacher_is_the_gated_mean() -> None:
    student, seen = example.network().eval(), example.first()
    scheme = ensemble(student)
    lessons = scheme.lessons(student, seen)
    hidden = seen.inputs[0]
    for name in TRUNK:
        hidden = student.get_submodule(name)(hidden)
    gate = scheme.companions["gate"]
    raw = hidden.mean((2, 3)) @ gate.linear.weight.T
    raw = (raw - gate.norm.running_mean) / (gate.norm.running_var + gate.norm.eps).sqrt()
    weights = raw.clamp(min=0).softmax(1)
    answers = [lesson.signals["student_logits"] for lesson in lessons[:3]]
    want = sum(weights[:, [k]] * answers[k] for k in range(3))
    assert torch.allclose(lessons[3].signals["student_logits"], want, atol=1e-5)
    for lesson in lessons:
        assert torch.allclose(lesson.signals["teacher_logits"], want, atol=1e-5)
    assert len(lessons) == 4
    assert bool((weights.amax(0) > weights.amin(0)).all())


def test_gates_weigh_sample_by_sample() -> None:
    answers = [torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.0, 2.0], [0.0, 2.0]])]
    weights = torch.tensor([[1.0, 0.0], [0.25, 0.75]])
    assert torch.equal(combine_by_gate(answers, weights), torch.tensor([[1.0, 0.0], [0.25, 1.5]]))


def test_the_ensemble_s_labels_train_the_gate_and_the_branches() -> None:
    student = example.network().train()
    scheme = ensemble(student)
    given = scheme.lessons(student, example.first())[3].signals
    torch.nn.functional.cross_entropy(given["student_logits"], given["labels"]).backward()
    for module in (scheme.companions["gate"], *scheme.companions["branches"], student):
        assert all(p.grad is not None for p in module.parameters())


def test_the_trunk_runs_once_and_belongs_to_the_student_alone() -> None:
    student = example.network().train()
    scheme = ensemble(student)
    scheme.lessons(student, example.first())
    assert int(student.get_submodule("layer2.0.bn1").num_batches_tracked) == 1
    names = {path.split(".", 1)[1] for path in scheme.companions["branches"].state_dict()}
    assert names and all(name.startswith(("layer3", "fc")) for name in names)


class Curious(nn.Module):
    """A network that asks its modules for their sizes, and uses one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, padding=1)
        self.act = nn.ReLU()
        self.middle = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6))
        self.last = nn.Conv2d(6, 6, 3, padding=1)
        self.fc = nn.Linear(6, example.CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images.to(self.stem.weight.dtype))
        assert features.shape[1] == self.stem.out_channels
        features = features + self.middle(self.act(features))
        return self.fc(self.act(self.last(features)).mean((2, 3)))


def test_networks_may_ask_and_branch_inside_a_shortcut() -> None:
    def curious(number: int) -> nn.Module:
        torch.manual_seed(number)
        return Curious()

    student, seen = curious(0).eval(), example.first()
    scheme = native_ensemble(student, curious, example.samples(), ("middle", "last"), example.CPU)
    answer = scheme.lessons(student, seen)[1].signals["student_logits"]
    whole = curious(1).eval()
    whole.stem, whole.middle = student.stem, student.middle
    assert torch.allclose(answer, whole(seen.inputs[0]), atol=1e-6)


def test_a_stage_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="got stage 'layer9'"):
        ensemble(example.network(), ("layer9", "layer3"))
