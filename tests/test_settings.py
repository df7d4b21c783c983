"""What is said below a field is read when somebody asks, as pydantic would read it at every start."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field

from edgekd import settings
from edgekd.recipe import Recipe
from edgekd.recipe.target import Target
from edgekd.settings import Count
from edgekd.settings import Settings


class Base(Settings):
    """Two fields that are described, one that is not."""

    kept: Count = 1
    """How many
        are kept.

    More of it."""
    changed: float = 0.5
    """What no class below says again."""
    bare: int = 0


class Below(Base):
    """Says another thing of a field, and nothing of one."""

    changed: float = 0.25
    new: Annotated[str, Field(alias="other")] = ""
    """By another name in JSON."""


class AsPydanticDoes(BaseModel):
    """The fields of `Base`; pydantic reads what is said of them."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    kept: Count = 1
    """How many
        are kept.

    More of it."""
    changed: float = 0.5
    """What no class below says again."""
    bare: int = 0


def texts(model: type[BaseModel]) -> dict[str, str]:
    properties = model.model_json_schema()["properties"]
    return {name: each["description"] for name, each in properties.items() if "description" in each}


def test_schema_describes_fields_as_pydantic_would() -> None:
    assert texts(Base) == texts(AsPydanticDoes)
    assert set(texts(Base)) == {"kept", "changed"}


def test_class_below_describes_what_it_says_itself() -> None:
    assert texts(Below) == {"kept": texts(Base)["kept"], "other": "By another name in JSON."}


def test_fields_of_settings_made_without_source_have_no_text() -> None:
    made = type("Made", (Settings,), {"__annotations__": {"x": int}, "__module__": "nowhere"})
    assert settings.describe_fields(made) == {}


def test_no_start_reads_them() -> None:
    assert all(field.description is None for field in Target.model_fields.values())
    assert settings.describe_fields(Recipe)["seed"]
