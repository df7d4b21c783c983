"""Members of a folder, named in its table without being imported.

A folder's ``__init__`` holds a plain dict, name to `Member`. What a recipe may say about a member
is read from its function's signature in the source text, so that a recipe is checked to the last
knob without importing torch:

- positional parameters are what the caller supplies (signals, files, shapes);
- keyword-only parameters are its knobs; their annotations are names of `edgekd.settings.KNOB_TYPES`
  or a ``Literal``, their defaults are literals. Those listed in the member's `supplied` are the caller's too.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import Literal
from typing import NamedTuple

from pydantic import ValidationError
from pydantic import create_model

from edgekd.errors import InputError
from edgekd.errors import nearest
from edgekd.settings import KNOB_TYPES
from edgekd.settings import Settings

LITERAL = "Literal"
Scalar = bool | int | float | str


class Member(NamedTuple):
    """One entry of a table: where its function lives, and one line about it."""

    module: str
    function: str
    summary: str
    supplied: tuple[str, ...] = ()
    """Keyword-only parameters that the caller fills in, not the recipe."""
    preset: Mapping[str, Scalar] = {}
    """Arguments this name stands for (``resnet20`` is ``resnet`` with depth 20)."""
    paper: str = ""
    """Where a method comes from: authors and year."""
    weight: float = 1.0
    """What a loss is multiplied by where the recipe does not say."""
    depth: float | None = None
    """Where a loss that reads layers looks unless the recipe says; None is at the end of every stage."""
    companion: Member | None = None
    """What a loss trains beside the student; its knobs are the loss's, too."""
    one_class_if: Mapping[str, Scalar] | None = None
    """Knobs with which a scheme wants one class a sample, none for any; None if it never does."""
    sees_batch_once: bool = False
    """Whether student and teacher see a scheme's batch once, so that losses can look inside them."""
    has_batch_norm: bool | None = True
    """Whether a model's samples see one another in a batch norm; None if only the built model tells."""
    is_foreign: bool = False
    """Whether a model is made by others, and may do in training what it does not do afterwards."""

    def load(self) -> Any:
        """The function itself; imports its module."""
        return getattr(importlib.import_module(self.module), self.function)


class Signature(NamedTuple):
    """What a member's function takes, read from its source."""

    positional: tuple[str, ...]
    knobs: type[Settings]
    doc: str


class Named(Settings):
    """A member chosen by name, with its knobs: ``kd`` or ``{name: kd, temperature: 2.0}``."""

    name: str
    arguments: dict[str, Scalar | None] = {}

    @classmethod
    def parse(cls, value: Any, table: Mapping[str, Member], what: str) -> Named:
        """A checked choice from what a recipe says.

        A name may carry a reference after a colon (``timm:resnet18``, ``python:package.module:f``)
        when its member has a knob called ``reference``.

        Raises:
            ValueError: for an unknown name or knob, or a value out of range.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            value = {"name": value}
        if not isinstance(value, dict) or not isinstance(value.get("name"), str):
            raise ValueError(f"got {value!r}, want the name of a {what}, or a mapping with `name`")
        arguments = {str(key): item for key, item in value.items() if key != "name"}
        if set(value) == {"name", "arguments"} and isinstance(value["arguments"], dict):
            arguments = dict(value["arguments"])
        key, colon, reference = value["name"].partition(":")
        if key not in table:
            raise ValueError(f"got unknown {what} {key!r}; {nearest(key, table)}")
        if colon:
            arguments["reference"] = reference
        knobs = bind(table[key], arguments)
        return cls(name=key, arguments=knobs)

    def __str__(self) -> str:
        reference = self.arguments.get("reference")
        return f"{self.name}:{reference}" if reference else self.name


def bind(member: Member, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All knobs of a member: `arguments` checked, the rest at their defaults.

    Raises:
        ValueError: for an unknown knob or a value out of range.
    """
    knobs = signature(member).knobs
    for name in arguments:
        if name not in knobs.model_fields:
            known = knobs.model_fields
            raise ValueError(
                f"got unknown key {name!r}; " + (nearest(name, known) if known else "it takes none")
            )
    try:
        return knobs.model_validate({**member.preset, **arguments}).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: got {first['input']!r}: {first['msg']}") from error


@functools.cache
def _signature(module: str, function: str, supplied: tuple[str, ...]) -> Signature:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise InputError(f"{module}: got no such module")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    found = next(
        (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function), None
    )
    if found is None:
        raise InputError(f"{module}: got no function {function!r}")
    fields: dict[str, Any] = {}
    for argument, default in zip(found.args.kwonlyargs, found.args.kw_defaults, strict=True):
        if argument.arg in supplied:
            continue
        annotation = ast.unparse(argument.annotation) if argument.annotation else "str"
        value = ... if default is None else ast.literal_eval(default)
        fields[argument.arg] = (_knob_type(annotation), value)
    knobs = create_model(f"{function}_knobs", __base__=Settings, **fields)
    return Signature(
        tuple(argument.arg for argument in found.args.args), knobs, ast.get_docstring(found) or ""
    )


def signature(member: Member) -> Signature:
    """What `member` takes, without importing it; with the knobs of its companion.

    Raises:
        InputError: if its module or function does not exist.
    """
    own = _signature(member.module, member.function, member.supplied)
    if member.companion is None:
        return own
    beside = signature(member.companion).knobs
    return own._replace(knobs=_both(own.knobs, beside))


@functools.cache
def _both(one: type[Settings], other: type[Settings]) -> type[Settings]:
    return create_model(f"{one.__name__}_and_{other.__name__}", __base__=(one, other))


def _knob_type(annotation: str) -> Any:
    names = [name.strip() for name in annotation.split("|")]
    optional = "None" in names
    (name,) = [name for name in names if name != "None"]
    if name.startswith(LITERAL):
        kind: Any = Literal[tuple(ast.literal_eval(name.removeprefix(LITERAL)))]
    else:
        kind = KNOB_TYPES[name]
    return kind | None if optional else kind
