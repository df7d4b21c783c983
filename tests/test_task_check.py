"""What no part of edgekd could use is refused in a line, before any data and on the first of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekd.dataset import Dataset
from edgekd.fields.classes import Classes
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.fields.map import Map
from edgekd.fields.number import Number
from edgekd.interface import Tensor
from edgekd.task import Metric
from edgekd.task_check import require_runs
from edgekd.task_check import require_sound
from edgekd.tasks import load_task
from edgekd.tasks.classification import TASK

OUTPUT, METRIC = TASK.outputs[0], TASK.metrics[0]


def output(**changes: Any) -> dict[str, Any]:
    return {"outputs": (OUTPUT._replace(**changes),)}


def metric(**changes: Any) -> dict[str, Any]:
    return {"metrics": (METRIC._replace(**changes),), "chance_metric": ""}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"targets": ("labels",)}, "targets: got"),
        ({"targets": {"a b": "class"}}, "targets: got 'a b', want a plain name"),
        (
            {"targets": {"labels": "clas"}},
            "targets.labels: got 'clas', want a kind; did you mean 'class'",
        ),
        ({"targets": {"labels": 3}}, "targets.labels: got 3, want a kind"),
        ({"outputs": ()}, "outputs: got"),
        ({"outputs": [OUTPUT]}, "outputs: got"),
        ({"outputs": ("logits",)}, "outputs: got 'logits', want edgekd.interface.Tensor"),
        ({"outputs": (OUTPUT, OUTPUT)}, "outputs: got 'logits, logits', want each name once"),
        (output(name="a-b"), "outputs: got 'a-b', want a plain name"),
        (output(target="label"), "outputs.logits.target: got 'label'"),
        (output(dtype="float"), "outputs.logits.dtype: got 'float'"),
        (output(kind="scores"), "outputs.logits.kind: got 'scores'"),
        (output(shape=("classes",)), "outputs.logits.shape"),
        (output(shape=["batch", "classes"]), "outputs.logits.shape"),
        (output(shape=("batch", 0)), "outputs.logits.shape: got '0'"),
        (output(shape=("batch", "a b")), "outputs.logits.shape: got 'a b'"),
        (output(class_axis=2), "outputs.logits.class_axis: got '2', want 1 to 1, or -1"),
        (output(class_axis=0), "outputs.logits.class_axis: got '0', want 1 to 1, or -1"),
        ({"losses": "kd"}, "losses: got 'kd'"),
        ({"losses": (3,)}, "losses: got"),
        ({"soft_losses": "kd"}, "soft_losses: got 'kd'"),
        ({"soft_losses": ({"loss": "kd"},)}, "soft_losses: got"),
        ({"metrics": ()}, r"metrics: got '\(\)', want some"),
        ({"metrics": (METRIC, METRIC)}, "metrics: got 'accuracy, accuracy', want each name once"),
        ({"metrics": ("accuracy",)}, "metrics: got 'accuracy', want edgekd.task.Metric"),
        (metric(name=" "), "metrics: got ' ', want a name"),
        (metric(unit="percent"), "metrics, accuracy, unit: got 'percent'"),
        (metric(better="more"), "metrics, accuracy, better: got 'more', want higher or lower"),
        (metric(perfect=float("inf")), "metrics, accuracy, perfect: got 'inf'"),
        (metric(rows=None), "metrics, accuracy, rows: got 'None', want a function"),
        (
            metric(rows=lambda a: a),
            r"metrics, accuracy, rows: got \(a\), want a function of 3 arguments",
        ),
        (
            metric(value=lambda: 1),
            r"metrics, accuracy, value: got \(\), want a function of 1 argument$",
        ),
        ({"chance_metric": "R2"}, "chance_metric: got 'R2', want one of: accuracy"),
        ({"decide": None}, "decide: got 'None', want a function"),
        ({"agree": lambda a: a}, r"agree: got \(a\), want a function of 2 arguments"),
        ({"guess": 3}, "guess: got '3', want a function"),
        ({"describe": lambda a, b: a}, "describe: got"),
        ({"explain_chance": lambda a, b: a}, "explain_chance: got"),
    ],
)
def test_what_is_no_task_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}"):
        require_sound(TASK._replace(**changes))


def test_what_counts_arguments_in_c_or_takes_any_is_let_through() -> None:
    anything = TASK._replace(
        agree=lambda *any_of_them: 0, metrics=(METRIC._replace(value=np.mean),)
    )
    require_sound(anything._replace(chance_metric="", explain_chance=None))


DATA = Dataset(
    task="classification",
    inputs={"images": Image(height=1, width=1, channels=1, mean=(0.0,), std=(1.0,))},
    targets={"labels": Label(names=("a", "b"))},
)
LABELS = {"labels": np.array([0, 1, 1])}


def broken(*arguments: Any) -> Any:
    raise KeyError("logit")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"guess": broken}, "guess: raised KeyError: 'logit'"),
        ({"guess": lambda t, d: {}}, r"guess, output logits: got '\[\]', want 2 axes"),
        ({"guess": lambda t, d: None}, "guess, output logits"),
        (
            {"guess": lambda t, d: {"logits": np.zeros((2, 2))}},
            r"guess, output logits: got '\[2, 2\]'",
        ),
        (
            {"guess": lambda t, d: {"logits": np.zeros(3)}},
            r"got '\[3\]', want 2 axes, the first of 3",
        ),
        (metric(rows=broken), "accuracy: raised KeyError"),
        (metric(rows=lambda o, t, d: np.ones((len(t["labels"]),) * 2)), "want rows of one width"),
        (
            metric(rows=lambda o, t, d: np.ones(3)),
            r"accuracy: raised ValueError: accuracy: got rows",
        ),
        (metric(value=broken), "accuracy: raised KeyError"),
        (metric(value=lambda rows: float("nan")), "accuracy: got 'nan', want a finite number"),
        (metric(value=lambda rows: rows), "accuracy: got .* want a finite number"),
        ({"decide": broken}, "decide: raised"),
        ({"decide": lambda o, d: o["logits"]}, "decide: got .* want arrays by name"),
        ({"agree": lambda a, b: 1.0}, r"agree: got '\[\]', want \[3\]"),
        (
            {"agree": lambda a, b: np.zeros(3)},
            "agree: got '0.0', want 1 of decisions and themselves",
        ),
        ({"describe": lambda d, s, n: []}, "describe: got 'list', want a list of 3"),
        ({"describe": lambda d, s, n: "abc"}, "describe: got 'str'"),
    ],
)
def test_what_gives_what_nobody_can_use_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        require_runs(TASK._replace(**changes), LABELS, DATA)


ROWS = {
    "classification": ("labels", Label(names=("a", "b", "c")), np.array([0, 1, 1, 2])),
    "multi-label": ("labels", Classes(names=("a", "b")), np.eye(2, dtype=np.uint8)[[0, 1, 1]]),
    "regression": (
        "numbers",
        Number(columns=("a", "b"), mean=(0.0, 0.0), std=(1.0, 2.0)),
        np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32),
    ),
    "segmentation": (
        "maps",
        Map(height=2, width=3, names=("a", "b")),
        np.random.default_rng(0).integers(0, 2, (4, 2, 3)).astype(np.uint8),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_built_in_ones_run(name: str) -> None:
    target, field, rows = ROWS[name]
    inputs = {"images": Image(height=2, width=3, channels=1, mean=(0.0,), std=(1.0,))}
    data = Dataset(task=name, inputs=inputs, targets={target: field})
    require_runs(load_task(name), data.prepare_targets({target: rows}), data)


def test_an_output_may_have_no_target() -> None:
    bare = Tensor("embedding", "float32", ("batch", "width"))
    counted = Metric("m", "number", "lower", METRIC.rows, METRIC.value, 0.0)
    require_sound(TASK._replace(outputs=(bare,), metrics=(counted,), chance_metric=""))
