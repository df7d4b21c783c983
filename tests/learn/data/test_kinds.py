"""The output that names one class a sample, of whatever task."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.dataset import Dataset
from edgekd.fields import find_field
from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.learn.data.kinds import find_class_output

CLASSES = Tensor("digit", "float32", (BATCH, "classes"), "logits", class_axis=1, target="labels")
NUMBER = Tensor("turn", "float32", (BATCH, 1), target="degrees")


def dataset() -> Dataset:
    rows = np.arange(3)
    label = find_field("class").describe(np.array([0, 1, 1]), rows, names=("a", "b"))
    number = find_field("number").describe(np.ones((3, 1), np.float32), rows)
    return Dataset(task="own", inputs={}, targets={"labels": label, "degrees": number})


def test_a_class_beside_a_number_is_found_by_its_target() -> None:
    found = find_class_output(dataset(), (NUMBER, CLASSES))
    assert found is not None and (found.output, found.target) == ("digit", "labels")
    assert found.label.names == ("a", "b") and not found.is_alone
    alone = find_class_output(dataset(), (CLASSES,))
    assert alone is not None and alone.is_alone


@pytest.mark.parametrize(
    "output",
    [
        NUMBER,
        CLASSES._replace(target="degrees"),
        CLASSES._replace(target=""),
        CLASSES._replace(class_axis=-1),  # each class is a probability by itself
        CLASSES._replace(shape=(BATCH, "classes", 4, 4)),  # a class of every place
        CLASSES._replace(kind="values"),
    ],
)
def test_anything_else_names_no_class(output: Tensor) -> None:
    assert find_class_output(dataset(), (output,)) is None
