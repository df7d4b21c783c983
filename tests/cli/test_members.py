from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from edgekd import cli
from edgekd.cli import members
from edgekd.cli import methods
from edgekd.errors import InputError
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import FAMILIES
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.table import Named


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli.main, list(arguments))
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_the_table_has_a_line_for_each() -> None:
    lines = run("models").splitlines()
    assert [line.split()[0] for line in lines] == list(MODELS)
    assert [row["name"] for row in json.loads(run("models", "--json"))] == list(MODELS)


def test_methods_are_listed_by_family_with_their_papers() -> None:
    lines = run("methods").splitlines()
    headings = [line.removesuffix(":") for line in lines if not line.startswith(" ")]
    assert headings == [*FAMILIES, "schemes", "synthesis"]
    names = [line.split()[0] for line in lines if line.startswith(" ")]
    assert names == [*LOSSES, *SCHEMES, *SYNTHESIZERS]
    rows = json.loads(run("methods", "--json"))
    assert [(row["family"], row["name"]) for row in rows][:1] == [("response", "cross-entropy")]
    assert all(row["paper"] for row in rows)


def test_no_two_methods_share_a_name() -> None:
    names = [*(name for family in FAMILIES.values() for name in family), *SCHEMES]
    assert len(set(names)) == len(names)


def test_a_method_that_reads_layers_says_where_and_what_it_trains() -> None:
    text = run("methods", "fitnet")
    assert "weight where a recipe says none: 100.0" in text.lower()
    assert "layers where a recipe says none: at depth 0.5" in text.lower()
    assert "trains beside the student" in text.lower()


def test_one_scheme_can_be_pasted() -> None:
    text = run("methods", "dml")
    snippet = text.partition("In a recipe:")[2]
    (step,) = yaml.safe_load(snippet)["learn"]
    assert step["scheme"] == {"name": "dml", "peers": 1}


def test_one_method() -> None:
    text = run("methods", "kd")
    assert "T^2 KL" in text and "Needs student_logits, teacher_logits." in text
    assert "temperature  number > 0  4.0" in text
    assert "    losses:\n      - {name: kd, temperature: 4.0}\n" in text


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


@pytest.mark.parametrize("table", [MODELS, LOSSES, SOURCES, SCHEMES])
def test_every_snippet_can_be_pasted(table: dict[str, members.Member]) -> None:
    for name, member in table.items():
        value = yaml.safe_load(members.snippet(name, member))
        assert Named.parse(value, table, "member").name == name


def test_what_was_measured_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "mean": 0.8231,
        "control_difference": 0.0041,
        "interval": [-0.001, 0.0092],
        "kd_difference": 0.0012,
        "seeds": 3,
    }
    monkeypatch.setattr(methods, "measured", lambda: {"sp": {"same": row}, "dml": {"same": row}})
    told = (
        "Measured, pair same: 82.31 %, seeds: 3, +0.41 points beside its control (-0.10 to +0.92)"
    )
    assert f"{told}, +0.12 beside kd" in run("methods", "sp") and told in run("methods", "dml")


def test_what_was_measured_is_of_methods_that_exist() -> None:
    names = {*LOSSES, *SCHEMES, "control", "kd-standardized"}
    assert set(methods.measured()) <= names
