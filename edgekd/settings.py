"""What every setting is: frozen, typed, strict, inert; and the words for its limits."""

from __future__ import annotations

from typing import Annotated
from typing import Any

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Whole = Annotated[int, Field(ge=0, le=2**63 - 1)]

KNOB_TYPES: dict[str, object] = {
    "Positive": Positive,
    "NonNegative": NonNegative,
    "Fraction": Fraction,
    "Count": Count,
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

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )
