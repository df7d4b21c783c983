"""What holds of every task: interfaces from fields, rows of metrics, the sense of better."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from edgekd import task
from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.interface import image_classifier
from edgekd.task import Metric
from edgekd.tasks.classification import TASK

IMAGE = Image(height=4, width=5, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3)


def dataset(**targets: Label) -> Dataset:
    return Dataset(task="classification", inputs={"images": IMAGE}, targets=targets)


def ones(outputs: Mapping[str, np.ndarray], targets: object, data: object) -> np.ndarray:
    return np.ones((len(outputs["x"]), 2))


def metric(**changes: object) -> Metric:
    return Metric("m", "fraction", "higher", ones, task.ratio)._replace(**changes)


def test_an_interface_is_the_fields_and_the_outputs() -> None:
    found = task.interface_of(TASK, dataset(labels=Label(names=("a", "b"))))
    assert found == image_classifier(classes=2, channels=3, height=4, width=5)


def test_data_without_the_target_are_refused() -> None:
    with pytest.raises(ValueError, match="labels: got none, want a target of kind 'class'"):
        task.interface_of(TASK, dataset())


@pytest.mark.parametrize(
    "rows", [np.ones(3), np.ones((2, 2)), np.ones((3, 0)), np.full((3, 1), np.nan)]
)
def test_rows_that_are_none_are_refused(rows: np.ndarray) -> None:
    broken = metric(rows=lambda outputs, targets, data: rows)
    with pytest.raises(ValueError, match="m: got rows"):
        task.metric_rows((broken,), {"x": np.zeros((3, 1))}, {}, dataset())


@pytest.mark.parametrize(
    ("better", "unit", "loss"),
    [("higher", "fraction", 10), ("lower", "fraction", -10), ("higher", "number", 0.1)],
)
def test_worse_is_positive(better: str, unit: str, loss: float) -> None:
    one = metric(better=better, unit=unit)
    assert task.loss_of_score(one, 0.5, 0.6) == pytest.approx(loss)
    assert task.is_better(one, 0.5, 0.6) is (better == "lower")


def test_right_or_wrong_is_known_by_its_rows() -> None:
    assert task.is_right_or_wrong(np.array([[1, 1], [0, 1]]))
    assert not task.is_right_or_wrong(np.array([[0.5, 1]]))
    assert not task.is_right_or_wrong(np.array([[1, 2]]))
    assert not task.is_right_or_wrong(np.array([[1]]))
    assert task.root(np.array([[4.0, 1], [12.0, 3]])) == 2.0
    assert task.text_of(metric(), 0.972) == "m 97.20 %"
