from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekd import recipe
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.recipe import text as recipe_text
from edgekd.recipe.json_schema import OWN_LOSS

SHIPPED = sorted((Path(__file__).parents[2] / "pipelines").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = recipe.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_recipes_fit(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    assert not list(validator.iter_errors(recipe_text.read(path).value))


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        (("name",), "Upper", False),
        (("unknown",), 1, False),
        (("teacher", "unknown"), 1, False),
        (("teacher", "train", "epochs"), 0, False),
        (("teacher", "model"), "resnet21", False),
        (("teacher", "model"), "timm:resnet18", True),
        (("teacher", "model"), "timm", False),
        (("teacher", "model"), {"name": "timm"}, False),
        (("teacher", "model"), {"name": "timm", "reference": "resnet18"}, True),
        (("teacher", "model"), {"name": "timm:resnet18"}, True),
        (("teacher", "model"), {"name": "resnet8", "base": 4}, True),
        (("teacher", "model"), {"name": "resnet8", "bsae": 4}, False),
        (("teacher", "model"), {"name": "resnet8", "base": 0}, False),
        (("data", "source"), "cifar10", True),
        (("data", "source"), "image-folder:photos", True),
        (("data", "source"), "resnet8", False),
        (("targets", 0, "runtime"), "tflite", False),
        (("learn", 0, "step"), "prune", False),
        (("learn", 0, "losses", 0), "kd", True),
        (("learn", 0, "losses", 0), {"name": "kd", "temperature": 1, "weight": 2}, True),
        (("learn", 0, "losses", 0), {"name": "kd", "label_smoothing": 0.1}, False),
        (("learn", 0, "losses", 0), {"name": "kd", "weight": 0}, False),
        (("learn", 0, "losses", 0), "python:edgekd.learn.losses.response.soft_targets:kd", True),
        (("learn", 0, "losses", 0), "python:soft_targets", False),
    ],
)
def test_the_schema_and_the_loader_agree(
    key: tuple[str | int, ...],
    value: Any,
    fits: bool,
    validator: jsonschema.Draft202012Validator,
) -> None:
    document = recipe_text.read(SHIPPED[0].with_name("digits-methods.yaml"))
    at = document.value
    for part in key[:-1]:
        at = at[part]
    at[key[-1]] = value
    assert validator.is_valid(document.value) is fits
    if fits:
        recipe.validate(document)
    else:
        with pytest.raises(Exception, match="got"):
            recipe.validate(document)


def test_every_member_is_named_with_its_knobs() -> None:
    definitions = recipe.schema()["$defs"]
    for definition, table in (("Model", MODELS), ("Term", LOSSES)):
        choices = definitions[definition]["anyOf"]
        mappings = [
            c for c in choices if c.get("type") == "object" and c["description"] != OWN_LOSS
        ]
        assert len(mappings) == len(table)
    assert "Named" not in definitions
