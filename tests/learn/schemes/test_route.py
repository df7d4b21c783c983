"""Which anchor teaches when."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes.route import route
from tests.learn import batch_example

STUDENT = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))


def seen(epoch: float, epochs: int) -> TensorBatch:
    images, labels = torch.ones(4, 3, 2, 2), torch.arange(4)
    return batch_example.tensor_batch(images, labels, epoch=epoch, epochs=epochs)


def anchor(number: int, seen: TensorBatch) -> Tensor:
    return torch.full((4, 5), float(number))


def taught(anchors: int, epoch: float, epochs: int) -> int:
    scheme = route([functools.partial(anchor, number) for number in range(anchors)])
    (lesson,) = scheme.lessons(STUDENT, seen(epoch, epochs))
    return int(lesson.signals["teacher_logits"][0, 0])


@pytest.mark.parametrize(
    ("epoch", "wanted"),
    [(0.0, 0), (29.9, 0), (30.0, 1), (59.5, 1), (60.0, 2), (90.0, 3), (119.99, 3), (120.0, 3)],
)
def test_anchors_share_the_epochs_and_the_last_is_the_finished_teacher(
    epoch: float, wanted: int
) -> None:
    assert taught(4, epoch, 120) == wanted


def test_shares_may_end_within_an_epoch() -> None:
    assert [taught(3, epoch, 4) for epoch in (0.0, 1.3, 1.34, 2.6, 2.7, 3.0)] == [0, 0, 1, 1, 2, 2]
    assert [taught(5, float(epoch), 2) for epoch in range(2)] == [0, 2]


def test_one_anchor_teaches_all_the_time_and_none_is_refused() -> None:
    assert {taught(1, epoch, 10) for epoch in (0.0, 5.0, 9.9)} == {0}
    with pytest.raises(ValueError, match="at least one anchor"):
        route([])


def test_the_lesson_is_the_student_s_and_carries_the_labels() -> None:
    now = seen(0.0, 1)
    (lesson,) = route([functools.partial(anchor, 0)]).lessons(STUDENT, now)
    assert torch.equal(lesson.signals["student_logits"], STUDENT(*now.inputs))
    assert {"labels", "label_indices", "sample_indices"} <= set(lesson.signals)
    assert lesson.weight == 1.0
