"""Resolved steps of learning of a small recipe."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from edgekd.recipe.learning import LearnStep
from edgekd.recipe.learning import Student
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import resolve_steps

LEARN: TypeAdapter[LearnStep] = TypeAdapter(LearnStep)
WORDS: dict[str, dict[str, Any]] = {
    "distil": {"losses": ["kd"]},
    "factorize": {"speedup": 1.5},
    "prune": {"macs": 0.5},
}


def resolve(*learn: dict[str, Any]) -> tuple[LearningStep, ...]:
    """The steps that a recipe's words mean; what they leave out and must say is as short as can be."""
    student = Student.model_validate({"model": "resnet8", "train": {"epochs": 7}})
    said = ({**WORDS.get(words["step"], {}), **words} for words in learn)
    return resolve_steps([LEARN.validate_python(words) for words in said], student)


def learn(*names: str, profiles: Any = "auto", **layer_bits: int) -> tuple[LearningStep, ...]:
    """Steps of those kinds."""
    more = {"quantize": {"profiles": profiles, "layer_bits": layer_bits}}
    return resolve(*({"step": name, **more.get(name, {})} for name in names))
