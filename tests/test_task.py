"""What holds of every task: interfaces from fields, rows of metrics, the sense of better."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from edgekd import interface
from edgekd import sampling_error
from edgekd import task
from edgekd.dataset import Dataset
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.fields.tokens import Tokens
from edgekd.interface import Axis
from edgekd.interface import image_classifier
from edgekd.learn.chance import compute_standing
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
    message = "labels: got none, want a target of kind 'class' of that name; the data have images$"
    with pytest.raises(ValueError, match=message):
        task.interface_of(TASK, dataset())


@pytest.mark.parametrize(
    "rows", [np.ones(3), np.ones((2, 2)), np.ones((3, 0)), np.full((3, 1), np.nan)]
)
def test_rows_that_are_none_are_refused(rows: np.ndarray) -> None:
    broken = metric(rows=lambda outputs, targets, data: rows)
    with pytest.raises(ValueError, match="m: got rows"):
        task.metric_rows((broken,), {"x": np.zeros((3, 1))}, {}, dataset())


def test_figures_of_the_same_rows_share_them() -> None:
    asked = []

    def count(outputs: Mapping[str, np.ndarray], targets: object, data: object) -> np.ndarray:
        asked.append(len(outputs["x"]))
        return np.full((3, 2), len(asked))

    both = metric(rows=count), metric(name="other", rows=count), metric(name="third")
    found = task.metric_rows(both, {"x": np.zeros((3, 1))}, {}, dataset())
    assert asked == [3] and list(found) == ["m", "other", "third"]
    assert np.array_equal(found["m"], found["other"]) and (found["third"] == 1).all()


def test_an_output_has_the_sizes_of_its_own_target() -> None:
    data = dataset(labels=Label(names=("a", "b")), color=Label(names=("a", "b", "c")))
    second = TASK.outputs[0]._replace(name="colors", target="color")
    both = TASK._replace(
        targets={"labels": "class", "color": "class"}, outputs=(*TASK.outputs, second)
    )
    shapes = [output.shape for output in task.interface_of(both, data).outputs]
    assert shapes == [("batch", 2), ("batch", 3)]


@pytest.mark.parametrize("names", [("logits",), ("text", "text_mask")])
def test_an_input_that_has_the_name_of_another_end_is_refused(names: tuple[str, ...]) -> None:
    inputs = {name: Tokens(vocabulary=9, usual=1, longest=2) for name in names}
    targets = {"labels": Label(names=("a", "b"))}
    with pytest.raises(ValueError, match=f"^{names[-1]}: got two inputs or outputs of that name"):
        task.interface_of(TASK, Dataset(task="", inputs=inputs, targets=targets))


def test_tokens_are_classified_with_their_free_length() -> None:
    tokens = Tokens(vocabulary=99, usual=4, longest=16)
    data = Dataset(
        task="classification", inputs={"text": tokens}, targets={"labels": Label(names=("a", "b"))}
    )
    found = task.interface_of(TASK, data)
    assert [tensor.name for tensor in found.inputs] == ["text", "text_mask"]
    assert found.axes == (Axis("batch"), Axis("text_length", 1, 4, 16))
    assert found.shape(found.inputs[0], 3) == (3, 4)
    assert found.shape(found.inputs[1], 3, text_length=9) == (3, 9)
    assert found.sizes == {"vocabulary": 99, "longest": 16, "classes": 2}
    assert interface.from_json(interface.to_json(found)) == found


def hits(*right: int) -> np.ndarray:
    return np.stack([right, np.ones(len(right))], axis=1).astype(float)


def falls_behind(logits: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> bool:
    """Whether `logits` [B, C] are right less often than `reference` [B, C], and not by chance.

    Rows on which both are right or wrong tell nothing; of the others, more are lost than won by over one
    standard error of the difference (McNemar 1947, Psychometrika 12).
    """
    right, was_right = logits.argmax(1) == labels, reference.argmax(1) == labels
    lost, won = int((was_right & ~right).sum()), int((right & ~was_right).sum())
    return lost - won > math.sqrt(lost + won)


@pytest.mark.parametrize("seed", range(40))
def test_worse_by_hits_is_what_it_was_for_classifiers(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, 200)
    reference = generator.normal(size=(200, 3)) + 2 * np.eye(3)[labels]
    answers = reference + generator.normal(size=(200, 3)) * (seed % 4)
    rows, reference_rows = (
        task.metric_rows(TASK.metrics[:1], {"logits": each}, {"labels": labels}, dataset())[
            "accuracy"
        ]
        for each in (answers, reference)
    )
    want = falls_behind(answers, reference, labels)
    assert sampling_error.is_worse(TASK.score, rows, reference_rows) is want


@pytest.mark.parametrize(
    ("lost", "won", "worse"),
    [(0, 0, False), (1, 0, False), (2, 0, True), (9, 5, True), (9, 6, False), (5, 9, False)],
)
def test_worse_by_hits_is_more_than_a_standard_error_of_what_differs(
    lost: int, won: int, worse: bool
) -> None:
    before, after = (hits(*[1] * lost, *[0] * won, 1, 0), hits(*[0] * lost, *[1] * won, 1, 0))
    assert sampling_error.is_worse(metric(), after, before) is worse


def test_worse_by_errors_is_the_other_way_round() -> None:
    more, fewer = hits(1, 1, 1, 1, 0), hits(0, 0, 0, 0, 0)
    errors = metric(better="lower")
    assert sampling_error.is_worse(errors, more, fewer) and not sampling_error.is_worse(
        errors, fewer, more
    )
    assert sampling_error.is_worse(metric(), fewer, more) and not sampling_error.is_worse(
        metric(), more, fewer
    )


def mean_of(rows: np.ndarray) -> float:
    return float(rows.mean())


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize(("errors_away", "worse"), [(-1.0, False), (0.8, False), (1.2, True)])
def test_worse_by_rows_is_more_than_a_standard_error(
    better: str, errors_away: float, worse: bool
) -> None:
    generator = np.random.default_rng(3)
    reference = generator.normal(size=(400, 1)) * 50
    difference = generator.normal(size=(400, 1))
    difference -= difference.mean()
    error = difference.std() / 20  # of the mean of 400
    sign = 1 if better == "lower" else -1
    rows = reference + difference + sign * errors_away * error
    averaged = metric(value=mean_of, better=better)
    assert sampling_error.is_worse(averaged, rows, reference) is worse
    assert sampling_error.is_worse(averaged, rows, reference) is worse  # the draws are the same


@pytest.mark.parametrize("rows", [np.zeros((0, 2)), np.zeros((3, 2)), np.zeros((4, 1))])
def test_rows_of_other_samples_are_not_compared(rows: np.ndarray) -> None:
    other = rows if not len(rows) else np.zeros((4, 2))
    with pytest.raises(ValueError, match="m: got rows"):
        sampling_error.is_worse(metric(), rows, other)


def test_better_is_higher_or_lower() -> None:
    assert task.is_better(metric(), 0.9, 0.8) and not task.is_better(metric(), 0.8, 0.8)
    errors = metric(better="lower")
    assert task.is_better(errors, 0.8, 0.9) and not task.is_better(errors, 0.9, 0.8)
    assert task.score_drop(metric(), 0.75, 1.0) == 25
    assert task.score_drop(errors, 0.75, 1.0) == -25
    assert task.score_drop(metric(unit="number"), 0.75, 1.0) == 0.25
    assert task.value_text(metric(), 0.75) == "75.00 %"
    assert task.figure_text(metric(unit="number", name="RMSE"), 1234.5678) == "1235 RMSE"


@pytest.mark.parametrize("occurring", [1, 2, 4])
@pytest.mark.parametrize("seed", range(5))
def test_skill_of_a_classifier_is_how_far_it_went_from_chance(occurring: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, occurring, 90)
    labels[:occurring] = np.arange(occurring)
    logits = generator.normal(size=(90, 4)) + seed * np.eye(4)[labels]
    data = dataset(labels=Label(names=tuple("abcd")))
    found = compute_standing(TASK, {"logits": logits}, {"labels": labels}, data).skill
    right = logits.argmax(1) == labels
    reached = np.mean([right[labels == number].mean() for number in range(occurring)])
    by_chance = 1 / max(2, occurring)
    want = (reached - by_chance) / (1 - by_chance)
    assert found == pytest.approx(want, abs=1e-12)
    guess = TASK.guess({"labels": labels}, data)
    if occurring > 1:
        assert compute_standing(TASK, guess, {"labels": labels}, data).skill == pytest.approx(
            0, abs=1e-12
        )
    assert (
        compute_standing(TASK, {"logits": np.eye(4)[labels]}, {"labels": labels}, data).skill == 1
    )


def test_where_a_guess_is_perfect_nothing_but_that_is_skill() -> None:
    errors = Metric("e", "number", "lower", lambda o, t, d: o["x"] - t["x"], mean_of, 0.0)
    silent = TASK._replace(metrics=(errors,), chance_metric="", guess=lambda t, d: {"x": t["x"]})
    targets = {"x": np.zeros((3, 1))}
    assert compute_standing(silent, {"x": np.ones((3, 1))}, targets, dataset()).skill == 0
    assert compute_standing(silent, {"x": np.zeros((3, 1))}, targets, dataset()).skill == 1


@pytest.mark.parametrize(("better", "sign"), [("lower", 1), ("higher", -1)])
@pytest.mark.parametrize(("unit", "scale"), [("number", 1), ("fraction", 100)])
def test_the_interval_of_a_drop_is_that_of_a_paired_mean(
    better: str, sign: int, unit: str, scale: int
) -> None:
    one, other = np.random.default_rng(3).normal(size=(2, 400, 1))
    mean = metric(unit=unit, better=better, value=lambda rows: float(rows.mean()))
    low, high = sampling_error.drop_interval(mean, one, other)
    differences = sign * scale * (one - other)
    half = 1.96 * differences.std() / np.sqrt(400)
    assert (low + high) / 2 == pytest.approx(differences.mean())
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)  # of 200 draws


def test_only_a_share_of_right_samples_is_one_of_right_or_wrong() -> None:
    rows = np.array([[1.0, 1.0], [0.0, 1.0]])
    assert sampling_error.is_right_or_wrong(metric(), rows)
    for other in (metric(better="lower"), metric(unit="number"), metric(value=np.mean)):
        assert not sampling_error.is_right_or_wrong(other, rows)
    assert not sampling_error.is_right_or_wrong(metric(), rows * 0.5)
