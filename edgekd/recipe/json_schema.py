"""The JSON schema of a recipe: pydantic's own, with the named members and their knobs spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.learn.optimizers import OPTIMIZERS
from edgekd.learn.optimizers import Knob
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.runtimes import RUNTIMES
from edgekd.table import OWN
from edgekd.table import Member
from edgekd.table import find_signature
from edgekd.table import usable

OWN_LOSS = "a loss of your own, with --allow-code"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def make_schema(recipe: type[BaseModel]) -> dict[str, Any]:
    """Make the schema of `recipe`, in which a model, a source or a loss is one of its table's names."""
    schema = recipe.model_json_schema(mode="validation")
    definitions: dict[str, Any] = schema["$defs"]
    for definition in definitions.values():
        for name, field in definition.get("properties", {}).items():
            for choice in (field, *field.get("anyOf", ())):
                if choice.get("$ref") in _NAMED and name in _FIELDS:
                    choice["$ref"] = f"#/$defs/{_FIELDS[name][0]}"
            if name == "runtime":
                field["enum"] = list(RUNTIMES)
    beside = dict(definitions["Term"]["properties"])
    beside.pop("loss")
    definitions["Term"] = _choice(LOSSES, beside)
    definitions["Term"]["anyOf"] += _own(beside)
    definitions |= {title: _choice(table, {}) for title, table in _FIELDS.values()}
    for each in _NAMED:
        definitions.pop(each.rpartition("/")[2])
    definitions["OptimizerSettings"] = _optimizers()
    _take_main_keys(definitions)
    schema = _take_single_values(schema)
    schema["title"] = "edgekd recipe"
    return {"$schema": DIALECT, **schema}


_NAMED = ("#/$defs/NamedMember", "#/$defs/ModelChoice")
_PRETRAINED = {"pretrained": {"type": "boolean", "default": False}}
"""Beside the knobs of a model whose package publishes weights."""
_FIELDS: dict[str, tuple[str, Mapping[str, Member]]] = {
    "model": ("Model", MODELS),
    "source": ("Source", SOURCES),
    "scheme": ("Scheme", SCHEMES),
    "method": ("Synthesizer", SYNTHESIZERS),
}
"""Fields that hold a `edgekd.named_member.NamedMember`, what their definition is called, and whose names."""


_MAIN = {
    "DataSettings": "source",
    "Teacher": "model",
    "Student": "model",
    "Target": "runtime",
    "QuantizeStep": "step",
}
"""Definitions for which the value of one key may stand alone, where that is a text (`edgekd.recipe.canonical`)."""


def _take_main_keys(definitions: dict[str, Any]) -> None:
    for name, key in _MAIN.items():
        if name not in definitions:
            continue
        field = definitions[name]["properties"][key]
        reference = field.get("$ref", "").rpartition("/")[2]
        choices = definitions[reference]["anyOf"] if reference else [field]
        texts = [c for c in choices if c.get("type") != "object"]
        definitions[name] = {"anyOf": [*texts, definitions[name]]}


def _take_single_values(schema: Any) -> Any:
    """The schema in which a list may be left out around its only item; a part that stands in many places is not
    changed in place, for it would be changed in each."""
    if isinstance(schema, list):
        return [_take_single_values(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    listed = {key: _take_single_values(each) for key, each in schema.items()}
    if listed.get("type") != "array" or "items" not in listed:
        return listed
    about = {key: listed.pop(key) for key in ("title", "description", "default") if key in listed}
    return {"anyOf": [listed["items"], listed], **about}


def _choice(table: Mapping[str, Member], extra: Mapping[str, Any]) -> dict[str, Any]:
    """A name alone, or a mapping with the name, its member's knobs and the `extra` keys."""
    table = usable(table)
    bare = [name for name, member in table.items() if not _required(member)]
    choices: list[dict[str, Any]] = [{"enum": bare}]
    for name, member in table.items():
        if "reference" in find_signature(member).knobs.model_fields:
            choices.append({"type": "string", "pattern": f"^{name}:.+$"})
        choices.append(_mapping(name, member, extra))
    return {"anyOf": choices}


def _optimizers() -> dict[str, Any]:
    """An optimizer's name alone, or a mapping with the name and its own knobs."""
    choices: list[dict[str, Any]] = [{"enum": list(OPTIMIZERS)}]
    for name, optimizer in OPTIMIZERS.items():
        knobs = {key: _knob_schema(usual) for key, usual in optimizer.knobs.items()}
        choices.append(
            {
                "type": "object",
                "properties": {"name": {"const": name}, **knobs},
                "required": ["name"],
                "additionalProperties": False,
            }
        )
    return {"anyOf": choices}


def _knob_schema(usual: Knob) -> dict[str, Any]:
    if isinstance(usual, bool):
        return {"type": "boolean", "default": usual}
    if isinstance(usual, tuple):
        numbers = {"type": "number", "minimum": 0}
        return {"type": "array", "prefixItems": [numbers] * len(usual), "default": list(usual)}
    return {"type": "number", "default": usual}


def _own(extra: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A user's own loss, alone or with knobs, which its file says and no schema knows."""
    name = {"type": "string", "pattern": f"^{OWN}.+:.+$"}
    described = {
        "description": OWN_LOSS,
        "type": "object",
        "properties": {"name": name, **extra},
        "required": ["name"],
    }
    return [name, described]


def _required(member: Member) -> list[str]:
    fields = find_signature(member).knobs.model_fields
    return [k for k, field in fields.items() if field.is_required() and k not in member.preset]


def _mapping(name: str, member: Member, extra: Mapping[str, Any]) -> dict[str, Any]:
    knobs = find_signature(member).knobs.model_json_schema(mode="validation")
    properties = dict(knobs.get("properties", {}))
    for knob, value in member.preset.items():
        if knob in properties:
            properties[knob] = {**properties[knob], "default": value}
    published = _PRETRAINED if member.package else {}
    mapping: dict[str, Any] = {
        "description": member.summary,
        "type": "object",
        "properties": {"name": {"const": name}, **properties, **published, **extra},
        "required": ["name", *_required(member)],
        "additionalProperties": False,
    }
    if "reference" in properties:
        # Either `name: timm:resnet18`, or `name: timm` with `reference: resnet18`.
        mapping["properties"]["name"] = {"type": "string", "pattern": f"^{name}(:.+)?$"}
        mapping["required"] = [key for key in mapping["required"] if key != "reference"]
        with_colon = {"properties": {"name": {"pattern": ":"}}}
        mapping["anyOf"] = [{"required": ["reference"]}, with_colon]
    return mapping
