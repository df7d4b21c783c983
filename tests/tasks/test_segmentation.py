"""Segmentation: metrics against scikit-learn on any samples, ignored pixels, decisions and chance by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd import task
from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.map import Map
from edgekd.learn.chance import compute_standing
from edgekd.tasks import segmentation
from edgekd.tasks.segmentation import TASK


def dataset(classes: int, height: int = 5, width: int = 7, ignored: int = 255) -> Dataset:
    names = tuple(f"class {n}" for n in range(classes))
    return Dataset(
        task="segmentation",
        inputs={
            "images": Image(height=height, width=width, channels=1, mean=(0.0,), std=(1.0,)),
        },
        targets={"maps": Map(height=height, width=width, names=names, ignored=ignored)},
    )


@pytest.mark.parametrize("classes", [2, 6])
@pytest.mark.parametrize("ignored", [255, -1])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_are_those_of_scikit_learn_on_any_samples(
    classes: int, ignored: int, seed: int
) -> None:
    from sklearn import metrics

    generator = np.random.default_rng(seed)
    maps = generator.integers(0, classes - (seed % 2), (23, 5, 7))  # not all occur every time
    maps[generator.random(maps.shape) < 0.2] = ignored
    logits = generator.normal(size=(23, classes, 5, 7)).astype(np.float32)
    data = dataset(classes, ignored=ignored)
    rows = task.metric_rows(TASK.metrics, {"logits": logits}, {"maps": maps}, data)
    for draw in (np.arange(23), generator.integers(0, 23, 23), generator.integers(0, 23, 2)):
        said, there = logits[draw].argmax(1).ravel(), maps[draw].ravel()
        y, p = there[there != ignored], said[there != ignored]
        got = {metric.name: metric.value(rows[metric.name][draw]) for metric in TASK.metrics}
        want = metrics.jaccard_score(y, p, average="macro")
        assert got["mIoU"] == pytest.approx(want, abs=1e-12)
        assert got["pixel accuracy"] == pytest.approx(metrics.accuracy_score(y, p), abs=1e-12)


def test_a_map_of_nothing_known_is_no_number_to_stumble_over() -> None:
    data, maps = dataset(2), np.full((1, 5, 7), 255)
    logits = np.zeros((1, 2, 5, 7))
    rows = task.metric_rows(TASK.metrics, {"logits": logits}, {"maps": maps}, data)
    assert [metric.value(rows[metric.name]) for metric in TASK.metrics] == [0, 0]


def test_by_hand() -> None:
    maps = np.array([[[0, 0, 1, 255]]])
    logits = np.eye(3)[np.array([[[0, 1, 1, 2]]])].transpose(0, 3, 1, 2)
    data = dataset(3, 1, 4)
    rows = segmentation.overlaps({"logits": logits}, {"maps": maps}, data)
    assert rows.tolist() == [[1, 1, 0, 2, 2, 0]]
    assert segmentation.mean_intersection_over_union(rows) == 0.5
    made = TASK.decide({"logits": logits}, data)
    assert made["map"].tolist() == [[[0, 1, 1, 2]]]
    assert TASK.agree(made, {"map": maps}).tolist() == [0.5]
    assert TASK.describe(made, data, 2) == [
        [("class 1: 50.00 % of the map", None), ("class 0: 25.00 % of the map", None)]
    ]


def test_the_guess_is_the_commonest_class_everywhere_and_knows_nothing() -> None:
    maps = np.array([[[1, 0, 0, 0]], [[255, 255, 255, 1]]])
    data = dataset(2, 1, 4)
    guessed = TASK.guess({"maps": maps}, data)
    assert guessed["logits"].shape == (2, 2, 1, 4)
    assert (TASK.decide(guessed, data)["map"] == 0).all()
    assert task.compute_score(TASK, guessed, {"maps": maps}, data) == pytest.approx(3 / 5 / 2)
    assert compute_standing(TASK, guessed, {"maps": maps}, data).skill == 0
    perfect = np.eye(2)[np.minimum(maps, 1)].transpose(0, 3, 1, 2)
    assert compute_standing(TASK, {"logits": perfect}, {"maps": maps}, data).skill == 1


def test_its_interface_has_a_class_axis_and_the_images_size() -> None:
    found = task.interface_of(TASK, dataset(3))
    assert found.outputs[0].shape == ("batch", 3, 5, 7) and found.outputs[0].class_axis == 1
    with pytest.raises(ValueError, match="maps: got 5 x 8, want 5 x 7 as images has"):
        wrong = Map(height=5, width=8, names=("a", "b"))
        task.interface_of(TASK, Dataset(task="", inputs=dataset(3).inputs, targets={"maps": wrong}))
