"""A step without losses has those of its task's example; who has none is asked for them."""

from __future__ import annotations

from typing import Any

import pytest

from edgekd import recipe
from edgekd.errors import InputError

TEACHER = {"model": "resnet20"}


def load(learn: list[Any], teacher: dict[str, Any] | None = TEACHER, **more: Any) -> recipe.Recipe:
    return recipe.load_mapping(
        {
            "name": "r",
            "data": "digits",
            "student": "resnet8",
            "learn": learn,
            "targets": ["onnxruntime"],
            **({"teacher": teacher} if teacher else {}),
            **more,
        }
    )


def losses(made: recipe.Recipe) -> list[tuple[str, float]]:
    return [(term.loss.name, term.weight) for term in made.steps[0].losses]


def test_a_step_with_a_teacher_compares_with_it() -> None:
    assert losses(load(["distil"])) == [("kd", 0.9), ("cross-entropy", 0.1)]


def test_labels_alone_count_in_full() -> None:
    assert losses(load(["distil"], None)) == [("cross-entropy", 1.0)]


@pytest.mark.parametrize(
    ("task", "usual"),
    [
        ("multi-label", ["binary-kd", "binary-cross-entropy"]),
        ("regression", ["value-mse", "mean-squared-error"]),
    ],
)
def test_each_task_has_its_own(task: str, usual: list[str]) -> None:
    source = {"multi-label": "digit-crowds", "regression": "turned-digits"}[task]
    made = load(["distil"], task=task, data={"source": source})
    assert [name for name, _ in losses(made)] == usual


def test_what_is_said_stays() -> None:
    assert losses(load([{"step": "distil", "losses": "kd"}])) == [("kd", 1.0)]


def test_what_recovers_learns_from_what_it_was() -> None:
    made = load(
        [{"step": "prune", "macs": 0.5, "recover": {"train": {"epochs": 1}}}],
        None,
        student={"model": "resnet8", "weights": __file__},
    )
    assert [term.loss.name for term in made.steps[1].losses] == ["kd", "cross-entropy"]


@pytest.mark.parametrize(
    ("step", "more"),
    [
        ({"step": "distil", "scheme": "mutual"}, {}),
        ("distil", {"task": "python:mine:TASK"}),
    ],
)
def test_where_nothing_is_usual_losses_are_asked_for(step: Any, more: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"learn\.0\.losses: got nothing, want losses"):
        load([step], **more)
