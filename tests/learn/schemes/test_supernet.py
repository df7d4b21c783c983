"""Networks inside a network: whose weights they use, whose statistics, and from whom they learn."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edgekd.learn.method.inheritance import inherit_layers
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.models.resnet import resnet
from edgekd.learn.schemes.supernet import build_nested
from edgekd.learn.schemes.supernet import run_shared
from tests.learn import batch_example


def net(base: int, depth: int = 14) -> nn.Module:
    return resnet(classes=3, channels=1, height=8, width=8, depth=depth, base=base)


def seen(seed: int = 0, count: int = 6) -> TensorBatch:
    torch.manual_seed(seed)
    images, labels = torch.randn(count, 1, 8, 8), torch.arange(count) % 3
    return batch_example.tensor_batch(images, labels)


def test_a_subnet_s_gradient_reaches_its_slices_of_the_largest_only() -> None:
    student, subnet = net(8), net(4, depth=8)
    run_shared(student, subnet, seen().inputs[0]).sum().backward()
    parts = dict(subnet.named_parameters())
    for name, parameter in student.named_parameters():
        if name not in parts:  # the deeper blocks
            assert parameter.grad is None
            continue
        assert parameter.grad is not None
        beyond = parameter.grad.clone()
        beyond[tuple(slice(0, size) for size in parts[name].shape)] = 0
        assert beyond.abs().sum() == 0, name
    assert student.conv1.weight.grad[:4].abs().min() > 0
    assert all(parameter.grad is None for parameter in subnet.parameters())


def test_statistics_of_batch_norms_are_each_network_s_own() -> None:
    student, subnet = net(8), net(4)
    lone, inherited = copy.deepcopy(student), net(4)
    inherit_layers(inherited, student)
    inherited.bn1.reset_running_stats()
    scheme, given = build_nested(student, [subnet]), seen()
    scheme.lessons(student, given)
    lone(given.inputs[0])
    assert torch.equal(student.bn1.running_mean, lone.bn1.running_mean)
    inherited(given.inputs[0])
    assert torch.allclose(subnet.bn1.running_mean, inherited.bn1.running_mean)
    assert "subnets.0.bn1.running_mean" in scheme.companions.state_dict()
    assert not any(p.requires_grad for p in scheme.companions.parameters())


def test_in_evaluation_mode_nothing_changes() -> None:
    student, subnet = net(8).eval(), net(4)
    before = copy.deepcopy(subnet.state_dict())
    build_nested(student, [subnet]).lessons(student, seen())
    assert all(torch.equal(value, before[name]) for name, value in subnet.state_dict().items())


def test_the_largest_learns_from_labels_and_the_others_from_the_largest() -> None:
    student, given = net(4, depth=8), seen()
    largest, other = build_nested(student, [net(2, depth=8)]).lessons(student, given)
    logits = largest.signals["student_logits"]
    assert torch.equal(largest.signals["labels"], given.targets["labels"])
    assert torch.equal(largest.signals["teacher_logits"], logits)
    assert torch.equal(other.signals["teacher_logits"], logits)
    assert torch.allclose(other.signals["labels"], torch.softmax(logits, 1))
    assert not other.signals["teacher_logits"].requires_grad
    assert not other.signals["labels"].requires_grad
    assert torch.equal(other.signals["label_indices"], given.targets["labels"])
    assert other.signals["student_logits"].requires_grad


def test_the_smallest_learns_at_every_step_the_rest_in_turn() -> None:
    student = net(8, depth=8)
    subnets = [net(6, depth=8), net(2, depth=8), net(4, depth=8)]
    scheme = build_nested(student, subnets)
    counts = torch.zeros(3)
    for step in range(20):
        before = [int(subnet.bn1.num_batches_tracked) for subnet in subnets]
        assert len(scheme.lessons(student, seen(step, 2))) == 3
        now = torch.tensor([int(subnet.bn1.num_batches_tracked) for subnet in subnets])
        counts += now - torch.tensor(before)
    assert counts[1] == 20
    assert counts[0] + counts[2] == 20
    assert min(counts[0], counts[2]) > 0


def test_as_many_as_there_are_learn_once_each() -> None:
    student, subnets = net(8, depth=8), [net(base, depth=8) for base in (2, 4)]
    assert len(build_nested(student, subnets, sampled=9).lessons(student, seen())) == 3
    assert len(build_nested(student, subnets, sampled=1).lessons(student, seen())) == 2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="no subnets"):
        build_nested(net(4), [])
    with pytest.raises(ValueError, match="of a subnet: got"):
        build_nested(net(4), [net(8)])
    with pytest.raises(ValueError, match="which the student has not"):
        build_nested(net(4, depth=8), [net(4, depth=14)])
