"""Stages that learn alone: what enters them, what they are compared with, what stays untouched."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.fields.image import Image
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.models.resnet import resnet
from edgekd.learn.models.vit import vit
from edgekd.learn.schemes.blockwise import blockwise
from edgekd.learn.view_settings import Views
from tests import data_example
from tests.learn import batch_example

STAGES = [("layer1", "layer1"), ("layer2", "layer2"), ("layer3", "layer3")]
SAMPLES = data_example.samples(
    images=np.zeros((4, 8, 8, 1), np.uint8),
    labels=np.arange(4) % 3,
    classes=3,
    image=Image(height=8, width=8, channels=1, mean=(0.5,), std=(0.5,)),
    views=Views(count=1),
    seed=0,
)
IMAGE = {"classes": 3, "channels": 1, "height": 8, "width": 8}


def net(base: int = 4, depth: int = 8, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return resnet(**IMAGE, depth=depth, base=base)


def frozen(model: nn.Module) -> nn.Module:
    return model.eval().requires_grad_(False)


def seen(seed: int = 0) -> TensorBatch:
    torch.manual_seed(seed)
    images, labels = torch.randn(4, 1, 8, 8), torch.arange(4) % 3
    return batch_example.tensor_batch(images, labels)


def test_a_copy_of_the_teacher_has_nothing_to_learn() -> None:
    teacher = frozen(net())
    student = copy.deepcopy(teacher)
    (lesson,) = blockwise(student, teacher, SAMPLES, STAGES).lessons(student, seen())
    assert list(lesson.own) == ["block-1", "block-2", "block-3"]
    assert [value.item() for value in lesson.own.values()] == [0, 0, 0]
    assert torch.equal(lesson.signals["student_logits"], lesson.signals["teacher_logits"])


def test_each_stage_s_error_by_hand() -> None:
    student, teacher, given = net(seed=1).eval(), frozen(net()), seen()
    scheme = blockwise(student, teacher, SAMPLES, STAGES, blocks=3.0, end_to_end=0.5)
    (lesson,) = scheme.lessons(student, given)

    def stem(model: nn.Module) -> Tensor:
        return model.relu(model.bn1(model.conv1(given.inputs[0])))

    first = teacher.layer1(stem(teacher))
    second = teacher.layer2(first)
    pairs = [
        (student.layer1(stem(student)), first),
        (student.layer2(first), second),
        (student.layer3(second), teacher.layer3(second)),
    ]
    want = [3 * (one - other).square().mean().item() for one, other in pairs]
    assert [value.item() for value in lesson.own.values()] == pytest.approx(want, rel=1e-5)
    assert lesson.weight == 0.5
    assert list(scheme.companions.parameters()) == []


def test_an_error_moves_its_own_stage_alone() -> None:
    student, teacher = net(seed=1), frozen(net(depth=14))
    (lesson,) = blockwise(student, teacher, SAMPLES, STAGES).lessons(student, seen())
    names = {}
    for term, value in lesson.own.items():
        student.zero_grad()
        value.backward()
        moved = {name.split(".")[0] for name, p in student.named_parameters() if p.grad is not None}
        names[term] = moved
    assert names == {
        "block-1": {"conv1", "bn1", "layer1"},
        "block-2": {"layer2"},
        "block-3": {"layer3"},
    }
    assert all(p.grad is None for p in teacher.parameters())


def test_statistics_are_those_of_the_whole_student() -> None:
    student, teacher, given = net(seed=1), frozen(net()), seen()
    lone, before = copy.deepcopy(student), copy.deepcopy(teacher.state_dict())
    blockwise(student, teacher, SAMPLES, STAGES).lessons(student, given)
    lone(given.inputs[0])
    for name, value in lone.state_dict().items():
        assert torch.equal(student.state_dict()[name], value), name
    assert all(torch.equal(teacher.state_dict()[name], value) for name, value in before.items())


def test_building_it_leaves_the_networks_as_they_were() -> None:
    student, teacher = net(seed=1), frozen(net(base=8))
    before = copy.deepcopy(student.state_dict())
    companions = blockwise(student, teacher, SAMPLES, STAGES).companions
    assert student.training and not teacher.training
    assert all(module.training for module in companions.modules())
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    norms = [m for m in companions.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and all(int(norm.num_batches_tracked) == 0 for norm in norms)


@pytest.mark.trains
def test_networks_of_other_widths_meet_through_projectors_and_learn() -> None:
    student, teacher = net(base=2, seed=1), frozen(net(base=4))
    scheme = blockwise(student, teacher, SAMPLES, STAGES)
    optimizer = torch.optim.Adam([*student.parameters(), *scheme.companions.parameters()], lr=0.02)
    errors = []
    for _ in range(30):
        (lesson,) = scheme.lessons(student, seen())
        optimizer.zero_grad()
        torch.stack(list(lesson.own.values())).sum().backward()
        optimizer.step()
        errors.append([value.item() for value in lesson.own.values()])
    assert all(last < 0.5 * first for first, last in zip(errors[0], errors[-1], strict=True))
    assert all(p.grad is not None for p in scheme.companions.parameters())


def test_blocks_of_transformers_meet_too() -> None:
    student, teacher = (vit(**IMAGE, dim=dim, heads=2, depth=2) for dim in (8, 16))
    pairs = [("layers.0", "layers.0"), ("layers.1", "layers.1")]
    (lesson,) = blockwise(student, frozen(teacher), SAMPLES, pairs).lessons(student, seen())
    assert all(value.isfinite() for value in lesson.own.values())


class _Two(nn.Module):
    """Its second stage takes the features and what they were made of."""

    class Both(nn.Module):
        def forward(self, features: Tensor, images: Tensor) -> Tensor:
            return features + images

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.fc = nn.Conv2d(1, 1, 1), self.Both(), nn.Linear(64, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.two(self.one(images), images).flatten(1))


def test_a_stage_that_cannot_be_run_alone_is_named() -> None:
    pairs = [("one", "layer1"), ("two", "layer2")]
    with pytest.raises(ValueError, match="student stage 'two' cannot be run alone: .*images"):
        blockwise(_Two(), frozen(net(base=1)), SAMPLES, pairs)


def test_stages_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        blockwise(net(), frozen(net()), SAMPLES, [])
    with pytest.raises(ValueError, match="no layer 'layer9'"):
        blockwise(net(), frozen(net()), SAMPLES, [("layer9", "layer1")])
