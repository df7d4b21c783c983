"""Writes a recipe as YAML in which every key stands, and which gives the same recipe when it is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember
from edgekd.recipe import Recipe
from edgekd.recipe import quantization
from edgekd.recipe import text as recipe_text
from edgekd.recipe import weights_paths
from edgekd.settings import Settings

HEADER = """\
# The recipe of this run as it was carried out: every default and every --set is written out. Run again, it gives the
# same results. Weights are named relative to this file; the data and your own code as the recipe named them.
"""
LINE = 118


def format_recipe(recipe: Recipe, weights: Mapping[recipe_text.Key, str] | None = None) -> str:
    """Return the text of `recipe` with every key.

    Args:
        recipe: what is written.
        weights: what stands for a file of weights, by its key; the others stand as in `recipe`.
    """
    document = _to_plain(recipe)
    unsaid = "opset" not in recipe.export.model_fields_set
    if unsaid and quantization.least_opset(recipe.steps) > recipe.export.opset:
        del document["export"]["opset"]  # what is written counts as wanted, and would be refused
    for key, name in (weights or {}).items():
        _put(document, key, name)
    text: str = yaml.safe_dump(
        document, sort_keys=False, allow_unicode=True, width=LINE, default_flow_style=None
    )
    return HEADER + text


def locate_weights(recipe: Recipe, path: Path, folder: Path) -> dict[recipe_text.Key, str]:
    """Return what a recipe that lies in `folder` calls the weights that the one at `path` names.

    Args:
        recipe: what `path` holds.
        path: the file that was read.
        folder: where the other will lie.
    """
    return {
        key: str(weights) if _is_absolute(recipe, key) else os.path.relpath(weights, folder)
        for key, weights in weights_paths(recipe, path).items()
    }


def _is_absolute(recipe: Recipe, key: recipe_text.Key) -> bool:
    value: Any = recipe
    for part in key:
        value = getattr(value, str(part)) if isinstance(value, Settings) else value[part]
    return Path(value).is_absolute()


_MEMBER = frozenset(NamedMember.model_fields)


def _to_plain(value: Any) -> Any:
    """Mappings, lists and scalars; a member by its name, with its knobs beside it where it has some."""
    if isinstance(value, Term):
        others = {name: getattr(value, name) for name in Term.model_fields if name != "loss"}
        return {"name": value.loss.name, **_to_plain(value.loss.arguments), **_to_plain(others)}
    if isinstance(value, NamedMember):
        beside = {name: getattr(value, name) for name in value.model_dump() if name not in _MEMBER}
        knobs = {**value.arguments, **_to_plain(beside)}
        return {"name": value.name, **knobs} if knobs else value.name
    if isinstance(value, Settings):  # not its own dump, which leaves out what keys leave out
        names = sorted(type(value).model_fields, key=lambda name: name != "step")
        return {name: _to_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(name): _to_plain(item) for name, item in value.items()}
    return [_to_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _put(document: Any, key: recipe_text.Key, name: str) -> None:
    for part in key[:-1]:
        document = document[part]
    document[key[-1]] = name
