"""Networks and labels that do not fit one another are refused in a line that says what was given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.learn.standalone.distiller import Distiller
from tests.learn.standalone_example import batches
from tests.learn.standalone_example import net


def give(classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))


@pytest.mark.parametrize(
    ("student", "teacher", "label", "message"),
    [
        (5, 4, 0, r"loss kd: got logits \[16, 5\] from the student and \[16, 4\] from the teacher"),
        (3, 3, 9, "loss cross-entropy: got label 9, want 0 to 2: the student gives 3 classes"),
        (3, 3, -1, "got label -1, want 0 to 2"),
    ],
)
def test_what_does_not_fit(student: int, teacher: int, label: int, message: str) -> None:
    images, labels = batches()[0]
    labels = labels.clone()
    labels[3] = label or labels[3]
    batch = images, labels
    distiller = Distiller(give(student), give(teacher), example=batch)
    with pytest.raises(InputError, match=message):
        distiller.loss(batch)


@pytest.mark.parametrize(
    ("teachers", "message"),
    [
        (nn.Linear(3, 3), r"Linear: cannot take \[2, 1, 8, 8\]"),
        ([give(3), give(4)], r"teacher: got outputs \[3\] and \[4\] of several, want one shape"),
    ],
)
def test_teachers_that_cannot_teach(teachers: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Distiller(net(2), teachers, example=batches()[0])


def test_labels_that_do_not_count_are_let_through() -> None:
    images, labels = batches()[0]
    batch = images, torch.where(labels == 0, -100, labels)
    distiller = Distiller(give(3), None, example=batch, losses="cross-entropy")
    assert torch.isfinite(distiller.loss(batch))
