"""Classification: metrics against scikit-learn, decisions and chance counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.task import list_fitting
from edgekd.task import metric_rows
from edgekd.task import metric_values
from edgekd.tasks import classification
from edgekd.tasks.classification import TASK


def logits(*classes: int) -> np.ndarray:
    return np.eye(3)[list(classes)]


def dataset(classes: int) -> Dataset:
    return Dataset(
        task="classification",
        inputs={"images": Image(height=1, width=1, channels=1, mean=(0.0,), std=(1.0,))},
        targets={"labels": Label(names=tuple(f"class {n}" for n in range(classes)))},
    )


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_metrics_are_those_of_scikit_learn(classes: int, seed: int) -> None:
    from sklearn import metrics

    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, 57)
    labels[: classes - 1] = 0  # not all classes occur alike
    told = generator.normal(size=(57, classes)) + np.eye(classes)[labels]
    rows = metric_rows(TASK.metrics, {"logits": told}, {"labels": labels}, dataset(classes))
    found = metric_values(TASK, rows)
    named = told.argmax(1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, named), abs=1e-12)
    want = metrics.balanced_accuracy_score(labels, named)
    assert found["balanced accuracy"] == pytest.approx(want, abs=1e-12)
    want = metrics.f1_score(labels, named, average="macro")
    assert found["macro F1"] == pytest.approx(want, abs=1e-12)
    raised = np.exp(told)
    likely = raised / raised.sum(1, keepdims=True)
    occurring = np.unique(labels)
    each = [metrics.roc_auc_score(labels == name, likely[:, name]) for name in occurring]
    assert found["AUROC"] == pytest.approx(np.mean(each), abs=1e-12)
    assert ("top-5 accuracy" in found) is (classes > 5)
    if classes > 5:
        want = metrics.top_k_accuracy_score(labels, told, k=5, labels=range(classes))
        assert found["top-5 accuracy"] == pytest.approx(want, abs=1e-12)


def test_equal_probabilities_are_ranked_half_and_one_class_tells_nothing() -> None:
    def area(logits: list[list[float]], labels: list[int]) -> float:
        found = {"logits": np.array(logits)}, {"labels": np.array(labels)}
        return classification.area_under_curve(classification.rank_classes(*found, dataset(2)))

    assert area([[0, 1], [0, 1], [0, 1]], [1, 0, 1]) == 0.5
    assert area([[0, 1], [0, 2]], [1, 1]) == 0.5
    assert area([[0, 1], [0, 2], [1, 0]], [1, 1, 0]) == 1
    assert area([[0, 9], [0, 9.5], [9, 0]], [0, 1, 0]) == 1  # probabilities near one stay apart


def test_a_metric_that_tells_nothing_of_the_data_is_left_out() -> None:
    names = [metric.name for metric in list_fitting(TASK.metrics, dataset(101))]
    assert "AUROC" not in names and "top-5 accuracy" in names


def test_decisions_are_probabilities_and_the_largest() -> None:
    made = TASK.decide({"logits": np.log([[0.2, 0.8], [0.5, 0.5]])}, dataset(2))
    assert made["class"].tolist() == [1, 0]
    np.testing.assert_allclose(made["probabilities"], [[0.2, 0.8], [0.5, 0.5]])
    lines = TASK.describe(made, dataset(2), 1)
    assert [[name for name, _ in line] for line in lines] == [["class 1"], ["class 0"]]


def test_one_who_sees_no_input_names_the_commonest_class() -> None:
    targets = {"labels": np.array([2, 2, 0])}
    guessed = TASK.guess(targets, dataset(3))
    assert guessed["logits"].argmax(1).tolist() == [2, 2, 2]
    rows = metric_rows(TASK.metrics, guessed, targets, dataset(3))
    assert classification.balanced_accuracy(rows["balanced accuracy"]) == 0.5


def test_classes_in_another_order_are_seen() -> None:
    assert TASK.explain_chance is not None
    targets = {"labels": np.array([0, 1, 2, 0, 1, 2])}
    turned = {"logits": logits(1, 2, 0, 1, 2, 0)}
    assert "renamed, it reaches 100.00 %" in TASK.explain_chance(turned, targets, dataset(3))
    assert not TASK.explain_chance({"logits": logits(0, 0, 0, 0, 0, 0)}, targets, dataset(3))


def test_a_renaming_is_found_among_mistakes_and_none_in_guesses() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 5, 200)
    turned = np.eye(5)[np.array([3, 0, 4, 1, 2])[labels]]
    turned[:10] = np.eye(5)[0]
    reached = float(classification.find_renaming(turned, labels).split()[-2])
    assert 94 <= reached < 100
    assert not classification.find_renaming(random.normal(size=(200, 5)), labels)
