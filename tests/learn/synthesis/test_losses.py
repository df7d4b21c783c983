"""By hand, and by plain loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from edgekd.learn.synthesis import losses
from edgekd.learn.synthesis.losses import Moments

K = torch.arange(40, dtype=torch.float64)
STUDENT, TEACHER = (2 * torch.sin(1 + K)).reshape(4, 10), (3 * torch.cos(K / 2)).reshape(4, 10)


def test_one_hot_is_the_surprise_at_the_class_named() -> None:
    logits = torch.tensor([[math.log(3), 0.0], [0.0, math.log(7)]])
    want = -(math.log(3 / 4) + math.log(7 / 8)) / 2
    assert losses.one_hot(logits).item() == pytest.approx(want, rel=1e-6)


def test_information_entropy_is_in_nats_of_the_mean() -> None:
    sure = 50 * torch.eye(4)
    assert losses.information_entropy(sure).item() == pytest.approx(-math.log(4), rel=1e-6)
    assert losses.information_entropy(sure[:1]).item() == pytest.approx(0, abs=1e-6)
    half = torch.tensor([[math.log(3), 0.0]])
    want = 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    assert losses.information_entropy(half).item() == pytest.approx(want, rel=1e-6)


def test_activation_is_the_negative_mean_size() -> None:
    assert losses.activation(torch.tensor([[1.0, -3.0], [0.0, 2.0]])).item() == -1.5


def test_batch_norm_statistics_adds_two_lengths_a_layer() -> None:
    one = Moments(*map(torch.tensor, ([3.0, 0.0], [1.0, 1.0], [0.0, 4.0], [1.0, 1.0])))
    two = Moments(*map(torch.tensor, ([1.0], [0.5], [1.0], [2.5])))
    assert losses.batch_norm_statistics([one, two]).item() == pytest.approx(5 + 2)
    same = one._replace(running_mean=one.mean, running_variance=one.variance)
    assert losses.batch_norm_statistics([same]).item() == 0
    with pytest.raises(ValueError, match="no batch normalization"):
        losses.batch_norm_statistics([])


def test_total_variation_by_a_loop_over_pixels() -> None:
    images = torch.sin(torch.arange(2 * 2 * 3 * 4, dtype=torch.float64) ** 2).reshape(2, 2, 3, 4)
    want = 0.0
    for image in images:
        for down, across in ((0, 1), (1, 0), (1, -1), (1, 1)):
            total = 0.0
            for row in range(3 - down):
                for column in range(4):
                    if 0 <= column + across < 4:
                        apart = image[:, row, column] - image[:, row + down, column + across]
                        total += float(apart.square().sum())
            want += math.sqrt(total) / 2
    assert losses.total_variation(images).item() == pytest.approx(want, rel=1e-9)
    assert losses.total_variation(torch.ones(2, 1, 3, 3)).item() == 0


def test_length_is_an_image_s_own() -> None:
    images = torch.zeros(2, 1, 2, 2)
    images[0, 0, 0] = torch.tensor([3.0, 4.0])
    assert losses.length(images).item() == pytest.approx(2.5)


def test_distances_by_hand_teach_both_sides() -> None:
    s, t = STUDENT.softmax(1), TEACHER.softmax(1)
    want = float((t * (t / s).log()).sum() / 4)
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    value = losses.divergence(student, teacher)
    assert value.item() == pytest.approx(want, rel=1e-9)
    value.backward()
    assert student.grad is not None and teacher.grad is not None
    assert float(student.grad.norm()) > 0 and float(teacher.grad.norm()) > 0
    want = float((STUDENT - TEACHER).abs().sum() / 40)
    assert losses.absolute_difference(STUDENT, TEACHER).item() == pytest.approx(want, rel=1e-9)


def test_contrast_by_a_loop_and_its_negatives() -> None:
    anchors, positives, memory = TEACHER[:3, :4], STUDENT[:3, :4], TEACHER[1:, 5:9]
    total = 0.0
    for number, anchor in enumerate(anchors):
        cosines = [
            float(anchor @ other / anchor.norm() / other.norm()) / 0.2
            for other in (*positives, *memory)
        ]
        total -= cosines[number] - math.log(sum(map(math.exp, cosines)))
    value = losses.contrast(anchors, positives, memory, temperature=0.2)
    assert value.item() == pytest.approx(total / 3, rel=1e-9)
    alone = losses.contrast(anchors[:1], positives[:1], memory[:0])
    assert alone.item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_finite_with_finite_gradients(kind: torch.dtype, size: float) -> None:
    student = (size * STUDENT).to(kind).requires_grad_()
    teacher = (size * TEACHER).to(kind).requires_grad_()
    values: list[Tensor] = [
        losses.one_hot(teacher),
        losses.information_entropy(teacher),
        losses.activation(teacher),
        losses.divergence(student, teacher),
        losses.absolute_difference(student, teacher),
        losses.contrast(student, teacher, teacher),
        losses.total_variation(teacher.reshape(2, 2, 2, 5)),
        losses.length(teacher.reshape(2, 2, 2, 5)),
    ]
    for value in values:
        assert value.dtype == torch.float32 and bool(value.isfinite())
    torch.stack(values).sum().backward()
    assert student.grad is not None and teacher.grad is not None
    assert bool(student.grad.isfinite().all()) and bool(teacher.grad.isfinite().all())


def test_shapes_are_refused() -> None:
    for loss in (losses.one_hot, losses.information_entropy, losses.total_variation, losses.length):
        with pytest.raises(ValueError, match="want"):
            loss(torch.zeros(3))
    with pytest.raises(ValueError, match="memory"):
        losses.contrast(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, 4))
