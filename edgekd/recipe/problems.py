"""Turns pydantic's findings about a recipe into plain sentences with their places."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic import ValidationError

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.recipe.text import Key
from edgekd.recipe.text import ParsedRecipe
from edgekd.recipe.text import input_error
from edgekd.recipe.text import place_of
from edgekd.recipe.text import shorten

_WANTS: dict[str, str] = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "none_required": "nothing",
    "missing": "a value",
    "literal_error": "{expected}",
    "greater_than": "{number} > {gt}",
    "greater_than_equal": "{number} >= {ge}",
    "less_than": "{number} < {lt}",
    "less_than_equal": "{number} <= {le}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text like {pattern}",
}


class Problem(typing.NamedTuple):
    """One thing that is wrong."""

    key: Key
    message: str
    rank: int
    """Smaller ones say more: a misspelt key, what we refuse, a type, a missing key."""


def describe_error(
    error: ValidationError, document: ParsedRecipe, model: type[BaseModel]
) -> InputError:
    """Describe the first and most telling finding of `error` in one line."""
    problems = _inmost(list(_problems(error, document.value, model)))
    first = min(problems, key=lambda problem: (problem.rank, -len(problem.key)))
    wants = [p.message for p in problems if p.key == first.key and p.rank == first.rank]
    return input_error(place_of(document, first.key), first.key, _joined(wants))


def _inmost(problems: list[Problem]) -> list[Problem]:
    """Those with none below them: a list whose item is wrong is also told to be too short, a value of
    one kind to be none of another."""
    above = {p.key[:depth] for p in problems for depth in range(len(p.key))}
    return [problem for problem in problems if problem.key not in above]


def _joined(messages: list[str]) -> str:
    """The branches of a union disagree with a value once each: ``want 'auto' or true or false``."""
    got, _, _ = messages[0].partition(", want ")
    wants = [m.removeprefix(f"{got}, want ") for m in messages if m.startswith(f"{got}, want ")]
    return f"{got}, want {' or '.join(dict.fromkeys(wants))}" if len(wants) > 1 else messages[0]


def _problems(error: ValidationError, value: Any, model: type[BaseModel]) -> Iterator[Problem]:
    for found in error.errors(include_url=False):
        kind, context = found["type"], found.get("ctx", {})
        key = _written(found["loc"], value)
        if kind == "extra_forbidden":
            hint = find_nearest(str(found["loc"][-1]), _fields_at(model, found["loc"][:-1]))
            yield Problem(key, f"got unknown key, {hint}", 0)
        elif kind == "missing":
            key = (*_written(found["loc"][:-1], value), found["loc"][-1])
            yield Problem(key, "got nothing, want a value", 3)
        elif kind == "union_tag_invalid":  # its input is the whole mapping
            want = _or(context["expected_tags"].split(", "))
            yield Problem((*key, _tag_key(context)), f"got {context['tag']!r}, want {want}", 1)
        elif kind == "union_tag_not_found":
            want = _find_tags(_models_at(model, found["loc"]), found["input"])
            yield Problem(key, f"got no {_tag_key(context)}, want {_tag_key(context)}: {want}", 2)
        elif kind == "value_error":
            yield _from_function(context["error"], key, found["input"])
        else:
            yield Problem(key, f"got {_shown(found['input'])}, want {_want(kind, context)}", 2)


def _tag_key(context: dict[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def _or(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]


def _from_function(error: Exception, key: Key, value: Any) -> Problem:
    """Return what one of our own functions refused; a member's knob is named by its own path."""
    message, cause = str(error), error.__cause__
    if isinstance(cause, ValidationError):
        inner = cause.errors(include_url=False)[0]
        want = _want(inner["type"], inner.get("ctx", {}))
        got = "nothing" if inner["type"] == "missing" else _shown(inner["input"])
        inside = isinstance(value, dict) and isinstance(value.get("arguments"), dict)
        below = ("arguments", *inner["loc"]) if inside else inner["loc"]
        return Problem((*key, *below), f"got {got}, want {want}", 1)
    for name in value if isinstance(value, dict) else ():
        unknown = f"got unknown key {name!r}; "
        if message.startswith(unknown):
            return Problem((*key, name), f"got unknown key, {message.removeprefix(unknown)}", 0)
    if isinstance(value, dict) and "name" in value and message.startswith("got unknown"):
        key = (*key, "name")
    return Problem(key, message, 1)


def _want(kind: str, context: dict[str, Any]) -> str:
    limits = {name: context[name] for name in ("gt", "ge", "lt", "le") if name in context}
    number = "an integer" if any(isinstance(n, int) for n in limits.values()) else "a number"
    shown = {name: f"{n:g}" if isinstance(n, float) else n for name, n in limits.items()}
    form = _WANTS.get(kind, "something else: " + kind.replace("_", " "))
    return form.format(**(context | shown | {"number": number}))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else shorten(repr(value), 50)


def _written(location: tuple[str | int, ...], value: Any) -> Key:
    """`location` as the recipe writes it: pydantic adds a part for each union and inner model."""
    key: list[str | int] = []
    for part in location:
        in_mapping = isinstance(value, dict) and part in value
        if in_mapping or (isinstance(value, list) and part in range(len(value))):
            key.append(part)
            value = value[part]
    return tuple(key)


def _fields_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand at `location`."""
    return sorted({name for m in _models_at(model, location) for name in m.model_fields})


def _find_tags(models: list[type[BaseModel]], value: dict[str, Any]) -> str:
    """The word that makes a mapping the one of several that has its keys, the first of them; else all words."""
    tags = {tag: m for m in models if (tag := _tag(m))}
    fitting = [tag for tag, m in tags.items() if value and set(value) <= set(m.model_fields)]
    return f"{fitting[0]} beside {', '.join(value)}" if fitting else _or(list(tags))


def _models_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """What may stand at `location`."""
    models = [model]
    for part in location:
        named = [m for m in models if isinstance(part, str) and part in m.model_fields]
        if named:
            found = [_models_in(m.model_fields[str(part)].annotation) for m in named]
            models = [inner for group in found for inner in group]
        elif tagged := [m for m in models if _tag(m) == part]:
            models = tagged
    return models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for inner in typing.get_args(annotation) for m in _models_in(inner)]


def _tag(model: type[BaseModel]) -> str | None:
    field = model.model_fields.get("step")
    return next(iter(typing.get_args(field.annotation)), None) if field else None
