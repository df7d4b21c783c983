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
