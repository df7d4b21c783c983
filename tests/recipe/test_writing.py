"""A recipe with every key, written and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgekd import recipe as recipes
from edgekd.recipe import text as recipe_text
from edgekd.recipe import writing

ROOT = Path(__file__).parents[2]
RECIPES = sorted((*ROOT.glob("pipelines/*.yaml"), ROOT / "examples/package-sections/recipe.yaml"))


def parsed(text: str) -> recipes.Recipe:
    return recipes.validate(recipe_text.parse(text, ".yaml", "written"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_what_is_written_is_the_same_recipe(path: Path) -> None:
    recipe = recipes.load(path)
    text = writing.format_recipe(recipe)
    again = parsed(text)
    assert again == recipe
    assert again.model_dump(mode="json") == recipe.model_dump(mode="json")
    assert writing.format_recipe(again) == text


def keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*map(keys, value.values()))


def test_every_key_stands_those_too_that_results_do_not_depend_on() -> None:
    recipe = recipes.load(ROOT / "pipelines/quickstart.yaml", ["student.train.workers=3"])
    written = yaml.safe_load(writing.format_recipe(recipe))
    assert keys(recipe.model_dump(mode="json")) - {"arguments", "loss"} <= keys(written)
    assert written["student"]["train"]["workers"] == 3 and written["task"] == "classification"
    assert parsed(writing.format_recipe(recipe)) == recipe


def test_an_operator_set_that_nobody_asked_for_is_not_asked_for() -> None:
    text = (ROOT / "pipelines/quickstart.yaml").read_text().replace("budget:", "old:")
    text = text.partition("old:")[0].replace(
        "export:", "  - {step: quantize, weight_bits: 4}\nexport:"
    )
    recipe = parsed(text)
    assert parsed(writing.format_recipe(recipe)) == recipe


@pytest.mark.parametrize("absolute", [False, True])
def test_weights_are_found_from_where_the_recipe_lies(tmp_path: Path, absolute: bool) -> None:
    (tmp_path / "own").mkdir()
    (weights := tmp_path / "own" / "large.safetensors").write_bytes(b"")
    name = str(weights) if absolute else weights.name
    source = tmp_path / "own" / "recipe.yaml"
    source.write_text(
        (ROOT / "pipelines/quickstart.yaml")
        .read_text()
        .replace("teacher:\n", f"teacher:\n  weights: {name}\n")
    )
    recipe, folder = recipes.load(source), tmp_path / "runs" / "own"
    folder.mkdir(parents=True)
    located = writing.locate_weights(recipe, source, folder)
    (folder / "recipe.yaml").write_text(writing.format_recipe(recipe, located))
    again = recipes.load(folder / "recipe.yaml")
    assert again.teacher.weights == (name if absolute else str(Path("../../own/large.safetensors")))
    (found,) = recipes.weights_paths(again, folder / "recipe.yaml").values()
    assert found.samefile(weights)
