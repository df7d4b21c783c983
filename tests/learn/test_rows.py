"""A loss on rows is the mean over the places that count, whatever the axis of the classes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn import rows
from edgekd.learn.losses.response.decoupled import dkd
from edgekd.learn.losses.response.labels import cross_entropy
from edgekd.learn.losses.response.soft_targets import kd

CLASSES = 5


def maps(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of two networks [3, 5, 4, 6] in double precision and their target, a third of it ignored."""
    random = torch.Generator().manual_seed(seed)
    student, teacher = (
        torch.randn(3, CLASSES, 4, 6, generator=random, dtype=torch.float64) for _ in range(2)
    )
    target = torch.randint(CLASSES, (3, 4, 6), generator=random)
    target[torch.rand(target.shape, generator=random) < 1 / 3] = 255
    return student.requires_grad_(), teacher, target


def split(student: Tensor, teacher: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    counting = rows.find_counting(target, CLASSES)
    return (
        rows.to_rows(student, 1, counting),
        rows.to_rows(teacher, 1, counting),
        rows.target_rows(target, counting),
    )


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kd_on_rows_is_the_mean_of_each_pixel_s(temperature: float) -> None:
    student, teacher, target = maps()
    of_rows = kd(*split(student, teacher, target)[:2], temperature=temperature)
    each = F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.log_softmax(teacher / temperature, 1),
        reduction="none",
        log_target=True,
    ).sum(1)
    by_pixel = each[target != 255].mean() * temperature**2
    assert float((of_rows - by_pixel).detach()) == pytest.approx(0, abs=1e-9)
    (one,) = torch.autograd.grad(of_rows, student)
    (other,) = torch.autograd.grad(by_pixel, student)
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    assert not one.movedim(1, -1)[target == 255].any()


def test_cross_entropy_is_torch_s_with_an_ignored_number() -> None:
    student, teacher, target = maps(1)
    of_rows = cross_entropy(*(split(student, teacher, target)[at] for at in (0, 2)))
    want = F.cross_entropy(student, target, ignore_index=255)
    assert float((of_rows - want).detach()) == pytest.approx(0, abs=1e-9)
    negative = torch.where(target == 255, -100, target)
    again = cross_entropy(*(split(student, teacher, negative)[at] for at in (0, 2)))
    assert torch.equal(again, of_rows)


def test_a_loss_written_for_classifiers_runs_on_rows() -> None:
    value = dkd(*split(*maps(2)))
    assert value.ndim == 0 and bool(value.isfinite())


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_the_axis_of_the_classes_does_not_matter(axis: int) -> None:
    student, _, target = maps(3)
    counting = rows.find_counting(target, CLASSES)
    want = rows.to_rows(student, 1, counting)
    assert torch.equal(rows.to_rows(student.movedim(1, axis), axis, counting), want)


def test_without_a_target_all_places_count() -> None:
    student, _, _ = maps(4)
    assert torch.equal(rows.to_rows(student, 1)[7], student[0, :, 1, 1])
    plain = torch.randn(4, CLASSES)
    assert torch.equal(rows.to_rows(plain, 1), plain)
    assert rows.has_places(student, 1) and not rows.has_places(plain, 1)


def test_other_places_are_refused() -> None:
    student, _, target = maps(5)
    with pytest.raises(ValueError, match="of the same places"):
        rows.to_rows(student, 1, rows.find_counting(target[:, :3], CLASSES))
