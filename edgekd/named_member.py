"""A member of a table that is chosen by its name, with its knobs, as a recipe says it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from pydantic import PrivateAttr
from pydantic import ValidationError

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.settings import Settings
from edgekd.table import Member
from edgekd.table import Scalar
from edgekd.table import find_signature


class NamedMember(Settings):
    """A member chosen by name, with its knobs: ``kd`` or ``{name: kd, temperature: 2.0}``."""

    name: str
    arguments: dict[str, Scalar | None] = {}
    _given: Callable[..., Any] | None = PrivateAttr(None)

    @classmethod
    def parse(cls, value: Any, table: Mapping[str, Member], what: str) -> NamedMember:
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
        whole = value["name"]
        key, colon, reference = whole.partition(":")
        if key not in table and whole in table:
            key, colon = whole, ""
        if key not in table:
            raise ValueError(f"got unknown {what} {key!r}; {find_nearest(key, table)}")
        if colon:
            arguments["reference"] = reference
        try:
            knobs = bind(table[key], arguments)
        except InputError as error:
            raise ValueError(str(error)) from error
        return cls(name=key, arguments=knobs)

    @classmethod
    def from_function(
        cls, function: Callable[..., Any], name: str, arguments: Mapping[str, Any]
    ) -> NamedMember:
        """A caller's function as a choice that no table holds; `name` is what it is called in figures.

        Raises:
            InputError: if the function takes what no recipe can say.
            ValueError: for an unknown knob or a value out of range.
        """
        made = cls(name=name, arguments=bind(_own_member(function, name), arguments))
        made._given = function
        return made

    def find_member(self, table: Mapping[str, Member]) -> Member:
        """The member that is chosen: the caller's function, else that of the table."""
        return table[self.name] if self._given is None else _own_member(self._given, self.name)

    def __str__(self) -> str:
        reference = self.arguments.get("reference")
        return f"{self.name}:{reference}" if reference else self.name


def _own_member(function: Callable[..., Any], name: str) -> Member:
    return Member("", name, "", is_own=True, given=function)


def bind(member: Member, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """All knobs of a member: `arguments` checked, the rest at their defaults.

    Raises:
        ValueError: for an unknown knob or a value out of range.
    """
    knobs = find_signature(member).knobs
    for name in arguments:
        if name not in knobs.model_fields:
            known = knobs.model_fields
            raise ValueError(
                f"got unknown key {name!r}; "
                + (find_nearest(name, known) if known else "it takes none")
            )
    try:
        return knobs.model_validate({**member.preset, **arguments}).model_dump()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where}: got {first['input']!r}: {first['msg']}") from error
