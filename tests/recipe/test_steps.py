"""What a recipe leaves unsaid of its steps is said once, and every step has a name."""

from __future__ import annotations

from typing import Any

import pytest

from edgekd.learn.schemes import OFFLINE
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import Quantization
from edgekd.recipe.steps import Reduction
from edgekd.recipe.steps import distillations
from edgekd.recipe.steps import find_quantization
from tests.steps_example import resolve


def test_every_step_and_every_recovery_has_a_name_a_place_and_all_its_words() -> None:
    own = {"step": "distil", "losses": ["kd"], "model": "resnet14", "train": {"epochs": 2}}
    recover = {"losses": ["cross-entropy"], "train": {"epochs": 3}}
    steps = resolve(
        own,
        {"step": "distil", "losses": ["kd"], "start": "fresh"},
        {"step": "prune", "macs": 0.5},
        {"step": "prune", "macs": 0.5, "recover": recover},
        {"step": "quantize"},
    )
    assert [(step.label, step.key, type(step)) for step in steps] == [
        ("distil-1", ("learn", 0), Distillation),
        ("distil-2", ("learn", 1), Distillation),
        ("prune-1", ("learn", 2), Reduction),
        ("prune-2", ("learn", 3), Reduction),
        ("prune-2-recover", ("learn", 3, "recover"), Distillation),
        ("quantize", ("learn", 4), Quantization),
    ]
    assert find_quantization(steps) is steps[-1] and find_quantization(steps[:-1]) is None
    first, second, recovery = distillations(steps)
    said = [
        (s.model.name, s.train.epochs, s.has_own_model, s.starts_fresh) for s in (first, second)
    ]
    assert said == [("resnet14", 2, True, True), ("resnet8", 7, False, True)]
    assert (recovery.is_recovery, recovery.starts_fresh) == (True, False)
    assert (recovery.words.scheme, recovery.train.epochs) == (OFFLINE, 3)


@pytest.mark.parametrize(
    ("words", "teachers", "answers"),
    [
        ({}, ("teacher",), "stored"),
        ({"knowledge": "online"}, ("teacher",), "online"),
        ({"losses": ["cross-entropy", "fitnet"]}, ("teacher",), "online"),
        ({"only": ["0", "1"]}, ("teacher",), "online"),
        ({"scheme": "sskd"}, ("teacher",), "online"),
        ({"losses": [{"name": "kd", "all_tokens": True}]}, ("teacher",), "online"),
        ({"scheme": "tf-kd"}, (), "none"),
        ({"teachers": ["teacher", "wide"]}, ("teacher", "wide"), "stored"),
    ],
)
def test_who_answers_and_how(
    words: dict[str, Any], teachers: tuple[str, ...], answers: str
) -> None:
    (step,) = resolve({"step": "distil", "losses": ["kd"], **words})
    assert (step.teachers, step.answers) == (teachers, answers)


@pytest.mark.parametrize(
    ("words", "teachers", "answers"),
    [
        ({}, ("teacher",), "stored"),
        ({"knowledge": "online"}, ("teacher",), "online"),
        ({"teachers": ["student"]}, (), "none"),
        ({"losses": [{"name": "kd", "all_tokens": True}]}, ("teacher",), "online"),
        ({"train": None}, (), "none"),
    ],
)
def test_who_teaches_a_quantized_student(
    words: dict[str, Any], teachers: tuple[str, ...], answers: str
) -> None:
    (step,) = resolve({"step": "quantize", **words})
    assert (step.teachers, step.answers) == (teachers, answers)
