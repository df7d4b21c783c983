from __future__ import annotations

import json

import jsonschema
import pytest
from click.testing import CliRunner

from edgekd import cli


@pytest.mark.parametrize("what", ["recipe", "result", "bench", "compare", "gates", "gate"])
def test_each_is_a_schema(what: str) -> None:
    done = CliRunner().invoke(cli.main, ["schema", what])
    assert done.exit_code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(done.stdout))


def test_a_recipes_is_the_usual_one() -> None:
    recipe, usual = (CliRunner().invoke(cli.main, ["schema", *what]) for what in (["recipe"], []))
    assert usual.exit_code == 0 and usual.stdout == recipe.stdout
