"""What the verbs that list a table of members print; nothing of the members is imported."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json
from edgekd.cli.screen import print_paragraph

if TYPE_CHECKING:
    from edgekd.table import Member


def show_table(
    table: Mapping[str, Member], what: str, place: str, name: str | None, as_json: bool
) -> None:
    """The whole table, or one member of it with its knobs.

    Args:
        table: the members.
        what: what one of them is called.
        place: where a recipe names one, with ``{}`` for the name and its knobs.
        name: the member to tell all about.
        as_json: as JSON, not as text.

    Raises:
        InputError: if there is no member of that name.
    """
    from edgekd.errors import InputError
    from edgekd.errors import find_nearest

    if name is not None and name not in table:
        raise InputError(
            f"{what}: got unknown {name!r}, want a name", hint=find_nearest(name, table)
        )
    if as_json:
        about = functools.partial(_described, place=lambda member: place)
        rows = [_listed(key, table, about) for key in table] if name is None else []
        print_json(rows if name is None else about(name, table[name]))
    elif name is None:
        print_columns((key, _cited(key, table)) for key in table)
    else:
        _show_one(_described(name, table[name], lambda member: place))


def show_families(
    families: Mapping[str, Mapping[str, Member]],
    what: str,
    place: Callable[[str, str, Member], str],
    name: str | None,
    as_json: bool,
    more: Callable[[str], Mapping[str, Any]] = lambda name: {},
) -> None:
    """Several tables under their headings, or one member of one of them.

    Args:
        families: heading to table.
        what: what one member is called.
        place: where a recipe names one, of its heading, name and entry; with ``{}`` as in `show_table`.
        name: the member to tell all about.
        as_json: as JSON, not as text.
        more: what else is known of a member: heading to text or value.

    Raises:
        InputError: if there is no member of that name.
    """
    from edgekd.errors import InputError
    from edgekd.errors import find_nearest

    found = [(family, key) for family, table in families.items() for key in table]
    known = {key for _, key in found}
    if name is not None and name not in known:
        raise InputError(
            f"{what}: got unknown {name!r}, want a name", hint=find_nearest(name, known)
        )
    if name is None and not as_json:
        for family, table in families.items():
            echo(f"{family}:")
            print_columns((f"  {key}", _cited(key, table)) for key in table)
        return
    chosen = [pair for pair in found if name in (None, pair[1])]
    described = []
    for family, key in chosen:
        about = functools.partial(_with_more, functools.partial(place, family, key), more)
        one = (
            _listed(key, families[family], about)
            if name is None
            else about(key, families[family][key])
        )
        described.append({"family": family, **one})
    if as_json:
        print_json(described if name is None or len(described) > 1 else described[0])
        return
    for number, one in enumerate(described):
        echo("\n" * bool(number), nl=False)
        _show_one(one, more(one["name"]))


def _cited(name: str, table: Mapping[str, Member]) -> str:
    """One line about a member, with its paper, or the distribution that adds it."""
    from edgekd.errors import InputError
    from edgekd.table import summarize

    try:
        member = table[name]
    except InputError as error:
        return f"cannot be used: {error}"
    source = f"plugin of {member.plugin}" if member.plugin else member.paper
    return f"{summarize(member)} ({source})" if source else summarize(member)


def _listed(
    name: str, table: Mapping[str, Member], describe: Callable[[str, Member], dict[str, Any]]
) -> dict[str, Any]:
    """Return what is known of one of many: of one that cannot be used, why."""
    from edgekd.errors import InputError

    try:
        return describe(name, table[name])
    except InputError as error:
        return {"name": name, "summary": f"cannot be used: {error}"}


def _with_more(
    place: Callable[[Member], str],
    more: Callable[[str], Mapping[str, Any]],
    name: str,
    member: Member,
) -> dict[str, Any]:
    return {**_described(name, member, place), **more(name)}


def _described(name: str, member: Member, place: Callable[[Member], str]) -> dict[str, Any]:
    from edgekd.table import find_signature
    from edgekd.table import summarize

    found = find_signature(member)
    return {
        "name": name,
        "summary": summarize(member),
        "plugin": member.plugin._asdict() if member.plugin else None,
        "paper": member.paper,
        "needs": list(found.positional),
        "knobs": [_knob(key, member, field) for key, field in _properties(member).items()],
        "doc": found.doc,
        "companion_knobs": _beside(member),
        "snippet": place(member).replace("{}", format_snippet(name, member)),
    }


def _beside(member: Member) -> dict[str, str]:
    """The knobs that a loss's companion brings, and what its docstring says of each."""
    from edgekd.table import find_signature

    if member.companion is None:
        return {}
    found = find_signature(member.companion)
    said = found.doc.partition("Args:\n")[2].partition("\n\n")[0]
    lines = re.sub(r"\n {5,}", " ", said).splitlines()
    told = dict(line.strip().split(": ", 1) for line in lines)
    return {name: told[name] for name in found.knobs.model_fields}


def _properties(member: Member) -> dict[str, Any]:
    from edgekd.table import find_signature

    properties: dict[str, Any] = find_signature(member).knobs.model_json_schema()["properties"]
    return properties


def _knob(name: str, member: Member, field: Mapping[str, Any]) -> dict[str, Any]:
    default = member.preset.get(name, field.get("default"))
    required = "default" not in field and name not in member.preset
    return {"name": name, "want": _limits(field), "default": default, "required": required}


_SIGNS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}


def _limits(field: Mapping[str, Any]) -> str:
    """``number > 0``; ``integer >= 1 or null``; ``rest or zero``."""
    if "anyOf" in field:
        return " or ".join(_limits(choice) for choice in field["anyOf"])
    if "enum" in field:
        return " or ".join(map(str, field["enum"]))
    limits = [
        f"{sign} {field[key]:g}"
        for key, sign in _SIGNS.items()
        if key in field and abs(field[key]) < 10**9
    ]
    return " ".join([str(field.get("type", "value")), *limits])


def format_snippet(name: str, member: Member) -> str:
    """Return how a recipe names it, in YAML: ``{name: kd, temperature: 4.0}``."""
    properties = _properties(member)
    if "reference" in properties:
        return f"{name}:REFERENCE"
    described = {key: _knob(key, member, field) for key, field in properties.items()}
    defaults = {key: 1 if k["required"] else k["default"] for key, k in described.items()}
    knobs = "".join(
        f", {key}: {_yaml(value)}" for key, value in defaults.items() if value is not None
    )
    return f"{{name: {name}{knobs}}}" if knobs else name


def _yaml(value: Any) -> str:
    """``1.0e-05``: YAML takes a power without a point for a string."""
    text = json.dumps(value)
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text


def _default(knob: Mapping[str, Any]) -> str:
    return "required" if knob["required"] else json.dumps(knob["default"])


def _show_one(described: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
    plugin = described["plugin"]
    source = f"{plugin['distribution']} {plugin['version']}" if plugin else described["paper"]
    cited = f" ({source})" if source else ""
    echo(f"{described['name']}: {described['summary']}{cited}\n\n{described['doc']}\n")
    if described["companion_knobs"]:
        echo("What it trains beside the student takes:")
        for name, said in described["companion_knobs"].items():
            echo(f"    {name}: {said}")
        echo("")
    if described["needs"]:
        echo(f"Needs {', '.join(described['needs'])}.\n")
    if described["knobs"]:
        rows = [(knob["name"], knob["want"], _default(knob)) for knob in described["knobs"]]
        print_columns([("knob", "want", "default"), *rows])
        echo("")
    for heading, value in (more or {}).items():
        print_paragraph(f"{heading.capitalize()}: {value}")
    echo("\n" * bool(more) + f"In a recipe:\n\n{described['snippet']}")
