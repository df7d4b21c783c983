from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from edgekd import cli
from edgekd.cli import members
from edgekd.errors import InputError
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.table import Named


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli.main, list(arguments))
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.mark.parametrize(("verb", "table"), [("models", MODELS), ("methods", LOSSES)])
def test_the_table_has_a_line_for_each(verb: str, table: dict[str, object]) -> None:
    lines = run(verb).splitlines()
    assert [line.split()[0] for line in lines] == list(table)
    assert [row["name"] for row in json.loads(run(verb, "--json"))] == list(table)


def test_one_method() -> None:
    text = run("methods", "kd")
    assert "T^2 KL" in text and "Compares student_logits, teacher_logits." in text
    assert "temperature  number > 0  4.0" in text
    assert text.endswith("    losses:\n      - {name: kd, temperature: 4.0}\n")


def test_one_model_with_its_preset() -> None:
    knobs = {
        knob["name"]: knob for knob in json.loads(run("models", "resnet32x4", "--json"))["knobs"]
    }
    assert (knobs["depth"]["default"], knobs["base"]["default"]) == (32, 64)
    assert knobs["base"]["want"] == "integer >= 1"


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        run("models", "resnet21")
    assert "did you mean" in caught.value.hint


@pytest.mark.parametrize("table", [MODELS, LOSSES, SOURCES])
def test_every_snippet_can_be_pasted(table: dict[str, members.Member]) -> None:
    for name, member in table.items():
        value = yaml.safe_load(members.snippet(name, member))
        assert Named.parse(value, table, "member").name == name
