"""Overrides as Python values mean what ``--set`` means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd import recipe as recipes
from edgekd.api.overrides import to_settings
from edgekd.errors import InputError
from edgekd.recipe import text
from tests.system.conftest import RECIPE


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({"seed": 3}, ("seed=3",)),
        ({"student": {"train": {"epochs": 3}}}, ("student.train.epochs=3",)),
        ({"student.train.epochs": 3}, ("student.train.epochs=3",)),
        ({"budget": {}}, ("budget={}",)),
        ({"views": {"count": 2, "flip": True}}, ("views.count=2", "views.flip=true")),
        (
            {"student": {"model": {"name": "resnet8", "base": 4}}},
            ('student.model={"name": "resnet8", "base": 4}',),
        ),
        ({"data": {"source": Path("a")}}, ('data.source="a"',)),
        ({"learn.0.losses": ["kd"]}, ('learn.0.losses=["kd"]',)),
    ],
)
def test_overrides_become_settings(given: dict[str, Any], settings: tuple[str, ...]) -> None:
    assert to_settings(given) == settings


def test_a_mapping_is_the_recipe_of_its_file() -> None:
    value = text.read(RECIPE).value
    settings = to_settings({"student": {"train": {"epochs": 3}}, "learn.0.losses.0.temperature": 2})
    loaded = recipes.load(RECIPE, settings)
    assert recipes.load_mapping(value, overrides=settings) == loaded
    assert loaded.student.train.epochs == 3


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}, b"x"])
def test_what_no_recipe_can_hold_is_refused(value: object) -> None:
    with pytest.raises(InputError, match="seed: got what a recipe cannot hold"):
        to_settings({"seed": value})
    with pytest.raises(InputError, match="recipe: got what a recipe cannot hold"):
        recipes.load_mapping({"seed": value})


def test_a_fault_in_a_mapping_names_its_key() -> None:
    value = {**text.read(RECIPE).value, "sede": 1}
    with pytest.raises(InputError, match=r"^recipe: sede: got unknown key"):
        recipes.load_mapping(value)
