"""A recipe's plain values in their one form: a list where several may stand, a mapping where its main key stands
alone, names as their tables spell them. So what means the same gives the same keys of results.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import BaseModel

from edgekd import synonyms
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.learn.optimizers import OPTIMIZERS
from edgekd.learn.optimizers import OptimizerSettings
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.named_member import NamedMember
from edgekd.recipe.text import Key
from edgekd.recipe.text import ParsedRecipe
from edgekd.recipe.text import input_error
from edgekd.recipe.text import place_of
from edgekd.runtimes import RUNTIMES
from edgekd.table import OWN
from edgekd.table import Member
from edgekd.table import find_signature
from edgekd.tasks import task_table

MAIN_KEYS = ("runtime", "source", "step", "model", "method")
"""A text alone stands for a mapping with the first of these that may stand there."""
_OVERRIDE = "--set"


def member_table(key: str) -> Mapping[str, Any]:
    """The names that the value of a recipe's `key` is one of; empty where it is not a name."""
    if key == "task":
        return task_table()
    return _TABLES.get(key, {})


_TABLES: dict[str, Mapping[str, Any]] = {
    "loss": LOSSES,
    "model": MODELS,
    "source": SOURCES,
    "scheme": SCHEMES,
    "method": SYNTHESIZERS,
    "optimizer": OPTIMIZERS,
    "runtime": RUNTIMES,
}


def to_canonical(document: ParsedRecipe, model: type[BaseModel]) -> ParsedRecipe:
    """`document` in the one form that `model` describes; what fits nowhere is left for `model` to refuse.

    Raises:
        InputError: for a key or name that has another word here, with that word; or one said twice.
    """
    form = _Form(document)
    value = form.of_model(document.value, model, (), ())
    return ParsedRecipe(value, form.places)


class _Form:
    """Values in their one form, and the places of what they come from."""

    def __init__(self, document: ParsedRecipe) -> None:
        self.document = document
        self.places: dict[Key, str] = {(): document.places[()]}

    def of_type(self, value: Any, kind: Any, old: Key, new: Key) -> Any:
        """`value`, written at the key `old`, as the type `kind` wants it at the key `new`."""
        if old in self.document.places:
            self.places[new] = self.document.places[old]
        kinds = list(_alternatives(kind))
        if value is None:
            return value
        if isinstance(value, list):
            return self._of_list(value, kinds, old, new)
        models = [each for each in kinds if _is_model(each)]
        if isinstance(value, dict):
            return self._of_mapping(value, kinds, models, old, new)
        literals = [word for each in kinds for word in _words(each)]
        if isinstance(value, str):
            value = self._of_name(value, _last_name(new), literals, old)
        if value in literals or any(_takes(each, value) for each in kinds):
            return value
        if not models and _lists(kinds):
            return [self.of_type(value, _item_type(kinds), old, (*new, 0))]
        main = _main_key(models)
        if isinstance(value, str) and main:
            return self._of_mapping({main: value}, kinds, models, old, new)
        return value

    def _of_list(self, value: list[Any], kinds: list[Any], old: Key, new: Key) -> Any:
        inner = _item_type(kinds) if _lists(kinds) else Any
        return [self.of_type(each, inner, (*old, i), (*new, i)) for i, each in enumerate(value)]

    def _of_mapping(
        self,
        value: dict[str, Any],
        kinds: list[Any],
        models: list[type[BaseModel]],
        old: Key,
        new: Key,
    ) -> Any:
        if OptimizerSettings in kinds and isinstance(value.get("name"), str):
            name = self._of_name(value["name"], "optimizer", [], (*old, "name"))
            return self._copied({**value, "name": name}, old, new)
        for kind in kinds:
            if _is_member(kind):
                return self._of_member(value, _last_name(new), kind.model_fields, old, new)
        chosen = self._choose(value, models, old)
        if chosen is not None:
            return self.of_model(value, chosen, old, new)
        inner = [typing.get_args(each)[1] for each in kinds if typing.get_origin(each) is dict]
        if inner:
            return {k: self.of_type(v, inner[0], (*old, k), (*new, k)) for k, v in value.items()}
        if not models and _lists(kinds):
            return [self.of_type(value, _item_type(kinds), old, (*new, 0))]
        return self._copied(value, old, new)

    def _choose(
        self, value: dict[str, Any], models: list[type[BaseModel]], old: Key
    ) -> type[BaseModel] | None:
        """The one of several models that a mapping is: by its step."""
        if len(models) <= 1:
            return models[0] if models else None
        by_step = {word: each for each in models for word in _words(_field_type(each, "step"))}
        step = value.get("step")
        if not isinstance(step, str):
            return None
        return by_step.get(self._of_name(step, "step", list(by_step), (*old, "step")))

    def of_model(self, value: Any, model: type[BaseModel], old: Key, new: Key) -> Any:
        """A mapping whose keys are the fields of `model`."""
        if not isinstance(value, dict):
            return value
        if "loss" in model.model_fields and "loss" not in value:
            return self._of_member(value, "loss", model.model_fields, old, new)
        fields = model.model_fields
        named = self._rename(value, fields, old)
        found = {}
        for key, (written, each) in named.items():
            kind = _field_type(model, key) if key in fields else Any
            found[key] = self.of_type(each, kind, (*old, written), (*new, key))
        return found

    def _of_member(
        self,
        value: dict[str, Any],
        key: str,
        beside: Iterable[str],
        old: Key,
        new: Key,
    ) -> Any:
        """A mapping with a member's name, its knobs, and the keys `beside` them."""
        name, table = value.get("name"), member_table(key)
        if isinstance(name, str):
            name = self._of_name(name, key, [], (*old, "name"))
            value = {**value, "name": name}
        head = name.partition(":")[0] if isinstance(name, str) else ""
        member = table.get(head) if head in table else None
        if not isinstance(member, Member):
            return self._copied(value, old, new)
        known = {"name", "arguments", *beside, *find_signature(member).knobs.model_fields}
        named = self._rename(value, known, old)
        for new_key, (written, _) in named.items():
            self._copied(None, (*old, written), (*new, new_key))
        return {new_key: each for new_key, (_, each) in named.items()}

    def _copied(self, value: Any, old: Key, new: Key) -> Any:
        """`value` itself, with its places."""
        for key, place in self.document.places.items():
            if key[: len(old)] == old:
                self.places[(*new, *key[len(old) :])] = place
        return value

    def _rename(
        self, value: dict[str, Any], known: Iterable[str], old: Key
    ) -> dict[str, tuple[str, Any]]:
        """The items by the known names of their keys, each with the key that was written."""
        known = set(known)
        found: dict[str, tuple[str, Any]] = {}
        for written, each in value.items():
            key = synonyms.find_key(written, known)
            if key not in known and key.lower() in synonyms.REFUSED_KEYS:
                place = place_of(self.document, (*old, written))
                said = synonyms.REFUSED_KEYS[key.lower()]
                raise input_error(place, (*old, written), f"got unknown key; {said}")
            if key in found:
                key_before = found[key][0]
                here, before = (
                    self.document.places.get((*old, k), "") for k in (written, key_before)
                )
                if (here == _OVERRIDE) == (before == _OVERRIDE):
                    place = place_of(self.document, (*old, written))
                    message = f"got it beside {key_before!r}, want one of them: they mean the same"
                    raise input_error(place, (*old, written), message)
                if before == _OVERRIDE:
                    continue
            found[key] = (written, each)
        return found

    def _of_name(self, value: str, key: str, literals: list[str], old: Key) -> str:
        """A name as its table spells it, the reference after its colon left alone.

        Raises:
            InputError: if another word is to be written.
        """
        has_table = key == "task" or key in _TABLES  # asking a table's length looks for plugins
        table = member_table(key) if has_table else literals
        words = synonyms.NAMES.get(key, {})
        if value in table or value.startswith(OWN) or not table:
            return value
        head, colon, rest = value.partition(":")
        found = synonyms.find_name(head, table, words)
        if (found in table) and (colon == "" or not literals):
            return f"{found}{colon}{rest}"
        if message := synonyms.refuse_name(key, value, table):
            raise input_error(place_of(self.document, old), old, message)
        return value


def _alternatives(kind: Any) -> Iterable[Any]:
    """The types that a type is one of, without what is said beside them."""
    while typing.get_origin(kind) is Annotated:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        for each in typing.get_args(kind):
            yield from _alternatives(each)
    else:
        yield kind


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel) and not _is_member(kind)


def _is_member(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, NamedMember)


def _field_type(model: type[BaseModel], name: str) -> Any:
    return model.model_fields[name].annotation if name in model.model_fields else Any


def _words(kind: Any) -> list[str]:
    """The texts of a literal type."""
    words = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
    return [word for word in words if isinstance(word, str)]


def _lists(kinds: list[Any]) -> list[Any]:
    """The types that hold any number of values of one kind."""
    return [
        each
        for each in kinds
        if typing.get_origin(each) is tuple and typing.get_args(each)[1:] == (Ellipsis,)
    ]


def _item_type(kinds: list[Any]) -> Any:
    return typing.get_args(_lists(kinds)[0])[0]


def _takes(kind: Any, value: Any) -> bool:
    """Return whether a type takes a plain value as it is written."""
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, str):
        return kind in (str, OptimizerSettings) or _is_member(kind)
    return kind is float or (kind is int and isinstance(value, int))


def _main_key(models: list[type[BaseModel]]) -> str | None:
    fields = {name for model in models for name in model.model_fields}
    if "loss" in fields:
        return "name"
    return next((key for key in MAIN_KEYS if key in fields), None)


def _last_name(key: Key) -> str:
    """The last name in a key, past the numbers of items."""
    return next((part for part in reversed(key) if isinstance(part, str)), "")
