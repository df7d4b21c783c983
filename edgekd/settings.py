"""What every setting is: frozen, typed, strict, inert; and the words for its limits."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import sys
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Depth = Annotated[int, Field(ge=1, le=10_000)]
"""Layers of a network, of which building takes time even where they are narrow."""
Whole = Annotated[int, Field(ge=0, le=2**63 - 1)]

KNOB_TYPES: dict[str, object] = {
    "Positive": Positive,
    "NonNegative": NonNegative,
    "Fraction": Fraction,
    "Count": Count,
    "Depth": Depth,
    "Whole": Whole,
    "float": Annotated[float, Field(allow_inf_nan=False)],
    "int": int,
    "bool": bool,
    "str": str,
}
"""What the annotation of a keyword-only parameter may say (see `edgekd.table`)."""


def omit_default(default: Any) -> Any:
    """A field that is part of a result's key only where its value is not `default`: a setting that came
    later leaves what was stored before it valid."""
    return Field(default=default, exclude_if=lambda value: value == default)


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values are not coerced, building does nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Pydantic's own schema, each field with what is said below it."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in describe_fields(cls).items():
            key = cls.model_fields[name].alias or name
            if key in properties:
                properties[key]["description"] = text
        return schema


@functools.cache
def describe_fields(settings: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings below its fields say, by field; read from the source only when somebody asks.

    Pydantic would read them at every start (``use_attribute_docstrings``), which is a sixth of one.
    """
    described: dict[str, str] = {}
    for each in reversed(settings.__mro__):
        if issubclass(each, Settings):
            described |= _read_class(each)
    return {name: text for name, text in described.items() if text}


def _read_class(settings: type[BaseModel]) -> dict[str, str]:
    """By field that the class itself annotates, its docstring; empty where it has none."""
    body = _read_classes(settings.__module__).get(settings.__name__, [])
    described: dict[str, str] = {}
    for statement, after in itertools.pairwise([*body, ast.Pass()]):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            described[statement.target.id] = _text_of(after)
    return described


def _text_of(statement: ast.stmt) -> str:
    """A docstring without its indentation; empty if the statement is none."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        text = statement.value.value
        return inspect.cleandoc(text) if isinstance(text, str) else ""
    return ""


@functools.cache
def _read_classes(module: str) -> dict[str, list[ast.stmt]]:
    """By name, the statements of a module's classes; none where it has no source."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (KeyError, OSError, TypeError):
        return {}
    return {node.name: node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
