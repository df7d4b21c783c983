"""The recipe's keys as a page, from the JSON schema that `edgekd schema recipe` prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgekd import recipe

Schema = dict[str, Any]


def recipe_page() -> str:
    """Every mapping a recipe may hold, its keys, what they take and their defaults."""
    schema = recipe.schema()
    kinds = schema["$defs"]
    lines = [
        "# Recipe",
        "",
        "A recipe is YAML or TOML. Each table is a mapping of it; a key without a default has to be written. The same as JSON "
        "schema, for editors: `edgekd schema recipe`. `--set student.train.epochs=3` changes one key for a run.",
        "",
        "## The recipe",
        "",
        *_table(schema),
    ]
    for name, kind in kinds.items():
        if kind.get("properties"):
            lines += ["", f"## {name}", "", kind.get("description", ""), "", *_table(kind)]
    return "\n".join(lines) + "\n"


def _table(schema: Schema) -> Iterator[str]:
    """Rows of key, value, default and meaning."""
    yield "| key | takes | default | |"
    yield "|---|---|---|---|"
    required = schema.get("required", ())
    for key, value in schema["properties"].items():
        default = "**has to be said**" if key in required else _default(value)
        meaning = " ".join(value.get("description", "").replace("``", "`").split())
        yield f"| `{key}` | {_takes(value)} | {default} | {_escape(meaning)} |"


def _default(value: Schema) -> str:
    if "default" not in value or isinstance(value["default"], dict):
        return ""
    return f"`{str(value['default']).lower()}`" if value["default"] is not None else "none"


def _takes(value: Schema) -> str:
    """What a key takes, in words; other mappings as links."""
    for form in ("anyOf", "oneOf"):
        if form in value:
            each = dict.fromkeys(_takes(one) for one in value[form] if one.get("type") != "null")
            return " or ".join(each)
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in value:
        return ", ".join(f"`{one}`" for one in value["enum"] if one is not None)
    if "const" in value:
        return f"`{value['const']}`"
    if value.get("type") == "array":
        return f"list of {_takes(value['items'])}" if "items" in value else "list"
    if value.get("type") == "object":
        inner = value.get("additionalProperties")
        return f"name to {_takes(inner)}" if isinstance(inner, dict) else "mapping"
    return _number(value)


def _number(value: Schema) -> str:
    word = {
        "integer": "whole number",
        "number": "number",
        "boolean": "true or false",
        "string": "text",
    }
    limits = (
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    )
    said = [f"{text} {value[key]:g}" for key, text in limits if abs(value.get(key, 2**60)) < 2**53]
    return ", ".join([word.get(str(value.get("type")), "value"), *said])


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
