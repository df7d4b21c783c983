"""The discriminator learns to tell the networks apart, and the student is pushed the other way."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.companions.discriminator import of_features
from edgekd.learn.companions.discriminator import of_logits
from edgekd.learn.losses.adversarial.discriminator import discriminator_loss


def logits() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(64, 5), 1.5 * torch.randn(64, 5) + 1


def loss(module: nn.Module, student: Tensor, teacher: Tensor, strength: float = 1.0) -> Tensor:
    scores = module(student, teacher)
    return discriminator_loss(*scores.values(), strength=strength)


@pytest.mark.trains
def test_with_a_frozen_student_its_loss_falls() -> None:
    student, teacher = logits()
    module = of_logits((64, 5), (64, 5), hidden=16)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2)
    first = loss(module, student, teacher, strength=0).item()
    for _ in range(100):
        optimizer.zero_grad()
        loss(module, student, teacher, strength=0).backward()
        optimizer.step()
    last = loss(module, student, teacher, strength=0).item()
    assert first == pytest.approx(math.log(2), abs=0.1)
    assert last < first - 0.1
    scores = module(student, teacher)
    assert scores["teacher_score"].mean() > 0 > scores["student_score"].mean()


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_the_student_is_moved_to_be_taken_for_the_teacher_and_by_nothing_else(
    strength: float,
) -> None:
    student, teacher = (z.requires_grad_() for z in logits())
    module = of_logits((64, 5), (64, 5), hidden=8).eval()
    (got,) = torch.autograd.grad(loss(module, student, teacher, strength), student)
    (want,) = torch.autograd.grad(F.softplus(-module.score(student)).mean() * strength, student)
    assert want.abs().max() > 0
    assert torch.allclose(got, want)


def test_the_discriminator_hears_nothing_of_the_student_s_wish() -> None:
    student, teacher = logits()
    module, grads = of_logits((64, 5), (64, 5), hidden=8).eval(), []
    for strength in (0.0, 5.0):
        module.zero_grad()
        loss(module, student, teacher, strength).backward()
        grads.append([p.grad.clone() for p in module.parameters() if p.grad is not None])
    assert len(grads[0]) == 6
    assert all(map(torch.equal, *grads))
    assert all(p.requires_grad for p in module.parameters())


def test_no_layer_stretches_and_training_mode_is_kept() -> None:
    student, teacher = logits()
    module = of_logits((64, 5), (64, 5), hidden=16).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    for _ in range(50):
        optimizer.zero_grad()
        loss(module, student, teacher, strength=0).backward()
        optimizer.step()
    assert all(each.training for each in module.modules())
    for layer in (module.score[0], module.score[2], module.score[4]):
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=0.15)


def test_the_teacher_is_not_moved_and_the_discriminator_learns_from_both() -> None:
    student, teacher = (z.requires_grad_() for z in logits())
    module = of_logits((64, 5), (64, 5), hidden=8)
    loss(module, student, teacher).backward()
    assert teacher.grad is None
    assert all(p.grad is not None and bool(p.grad.any()) for p in module.parameters())


def test_given_the_same_twice_it_is_never_below_chance() -> None:
    student, _ = logits()
    module = of_logits((64, 5), (64, 5), hidden=16)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2)
    for _ in range(50):
        optimizer.zero_grad()
        value = loss(module, student, student, strength=0)
        assert value.item() >= math.log(2) - 1e-6
        value.backward()
        optimizer.step()
    assert loss(module, student, student, strength=0).item() == pytest.approx(math.log(2), abs=1e-3)


@pytest.mark.trains
def test_one_optimizer_brings_the_student_s_answers_to_the_teacher_s() -> None:
    torch.manual_seed(0)
    teacher = torch.randn(256, 2) + torch.tensor([2.0, -1.0])
    shift = nn.Parameter(torch.zeros(2))
    module = of_logits((256, 2), (256, 2), hidden=16)
    optimizer = torch.optim.SGD([shift, *module.parameters()], lr=0.2)
    for _ in range(300):
        optimizer.zero_grad()
        loss(module, torch.randn(256, 2) + shift, teacher).backward()
        optimizer.step()
    assert (shift - torch.tensor([2.0, -1.0])).norm().item() < 0.8


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        ((4, 6, 5, 5), (4, 6, 5, 5)),
        ((4, 3, 8, 8), (4, 6, 4, 4)),
        ((4, 10, 3), (4, 6, 2, 2)),
        ((4, 7), (4, 6)),
    ],
)
def test_features_of_any_kind_are_averaged_over_their_places(
    student: tuple[int, ...], teacher: tuple[int, ...]
) -> None:
    module = of_features(student, teacher, hidden=8)
    mine, theirs = torch.randn(student, requires_grad=True), torch.randn(teacher)
    scores = module(mine, theirs)
    assert {name: tuple(s.shape) for name, s in scores.items()} == {
        "student_score": (4,),
        "teacher_score": (4,),
        "fooling_score": (4,),
    }
    discriminator_loss(*scores.values()).backward()
    assert mine.grad is not None
    if mine.ndim == 4:  # all places of a channel count alike
        assert torch.allclose(mine.grad, mine.grad[:, :, :1, :1].expand_as(mine))
    order = torch.randperm(theirs.flatten(2).shape[2]) if theirs.ndim == 4 else None
    if order is not None:
        turned = theirs.flatten(2)[:, :, order].reshape(theirs.shape)
        module.eval()
        assert torch.allclose(
            module(mine, turned)["teacher_score"], module(mine, theirs)["teacher_score"]
        )


def test_the_layer_that_fits_the_student_s_channels_sides_with_the_student() -> None:
    student, teacher = torch.randn(8, 3), torch.randn(8, 5)
    module = of_features((8, 3), (8, 5), hidden=8)
    loss(module, student, teacher).backward()
    wish = F.softplus(-module.score.eval()(module.fitted(student))).mean()
    (want,) = torch.autograd.grad(wish, module.fitted.weight)
    assert torch.allclose(module.fitted.weight.grad, want, atol=1e-6)


def test_half_precision_is_widened() -> None:
    module = of_features((4, 3, 2, 2), (4, 3, 2, 2), hidden=8)
    half = torch.full((4, 3, 2, 2), 1e4).half()
    assert all(
        s.dtype == torch.float32 and bool(s.isfinite().all()) for s in module(half, half).values()
    )


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"want two \[B, C\]"):
        of_logits((4, 5), (4, 6))
    with pytest.raises(ValueError, match="of the same samples"):
        of_features((4, 5), (3, 5))
