from __future__ import annotations

import json
import re
from pathlib import Path

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
from edgekd.learn.schemes import CHAINS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.synthesis import SYNTHESIZERS
from edgekd.named_member import NamedMember
from edgekd.table import Member
from edgekd.table import find_signature


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli.main, list(arguments))
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_the_table_has_a_line_for_each() -> None:
    lines = run("models").splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(MODELS)
    assert [row["name"] for row in json.loads(run("models", "--json"))] == list(MODELS)


def test_methods_are_listed_by_family_with_their_papers() -> None:
    lines = run("methods").splitlines()
    headings = [line.removesuffix(":") for line in lines if not line.startswith(" ")]
    assert headings == [*FAMILIES, "schemes", "chains", "synthesis"]
    names = [line.split()[0] for line in lines if re.match("  [^ ]", line)]
    assert names == [*LOSSES, *SCHEMES, *CHAINS, *SYNTHESIZERS]
    rows = json.loads(run("methods", "--json"))
    assert [(row["family"], row["name"]) for row in rows][:1] == [("response", "cross-entropy")]
    assert all(row["paper"] for row in rows)


def test_no_two_methods_share_a_name() -> None:
    names = [*(name for family in FAMILIES.values() for name in family), *SCHEMES, *CHAINS]
    assert len(set(names)) == len(names)


def test_a_method_that_reads_layers_says_where_and_what_it_trains() -> None:
    text = run("methods", "fitnet")
    assert "weight where a recipe says none: 100.0" in text.lower()
    assert "layers where a recipe says none: at depth 0.5" in text.lower()
    assert "trains beside the student" in text.lower()


def test_a_weight_that_depends_on_the_classes_says_how() -> None:
    text = " ".join(run("methods", "dkd").split())
    assert "Weight where a recipe says none: 1 for 100 classes and more, for fewer times" in text
    assert "classes / 100 (0.1 for 10), raised from 0 over the first 8.3% of the epochs" in text


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
def test_every_snippet_can_be_pasted(table: dict[str, Member]) -> None:
    for name, member in table.items():
        value = yaml.safe_load(members.format_snippet(name, member))
        assert NamedMember.parse(value, table, "member").name == name


ROW = {
    "mean": 0.8231,
    "control_difference": 0.0041,
    "interval": [-0.001, 0.0092],
    "kd_difference": 0.0012,
    "kd_interval": [-0.0040, 0.0064],
    "seeds": 3,
    "runs": 3,
    "flags": {},
    "error": None,
}
LOST = {"mean": None, "control_difference": None, "interval": None, "kd_difference": None}


def told(monkeypatch: pytest.MonkeyPatch, name: str, row: dict[str, object]) -> str:
    """What is said of a method that was measured so."""
    kept = {"methods": {name: {"same": row}}, "pairs": {"same": "large to small"}}
    monkeypatch.setattr(methods, "read_measurements", lambda: kept)
    monkeypatch.setenv("COLUMNS", "200")
    (line,) = (x for x in run("methods", name).splitlines() if x.startswith("Measured"))
    return line.removeprefix("Measured, pair same: large to small: ")


@pytest.mark.parametrize("name", ["sp", "dml"])
def test_what_was_measured_is_told(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert told(monkeypatch, name, ROW) == (
        "82.31 %, 3 seeds, +0.41 points beside its control (-0.10 to +0.92), "
        "+0.12 beside kd (-0.40 to +0.64)"
    )
    once = {**ROW, "seeds": 1, "interval": None, "kd_interval": None}
    assert told(monkeypatch, name, once) == (
        "82.31 %, one seed, +0.41 points beside its control, +0.12 beside kd, "
        "one seed calls nothing better or worse"
    )


def test_runs_that_went_wrong_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {**ROW, **LOST, "seeds": 0, "runs": 2, "flags": {"diverged": 2}, "error": "fsp is inf"}
    assert told(monkeypatch, "fsp", lost) == "2 of 2 runs diverged: fsp is inf"
    some = {**ROW, "flags": {"chance": 1}}
    assert told(monkeypatch, "fsp", some).endswith(
        "beside kd (-0.40 to +0.64), 1 of 3 runs stayed at chance"
    )


def test_what_was_measured_is_of_methods_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    names, kept = {*LOSSES, *SCHEMES, "control", "kd-standardized"}, methods.read_measurements()
    assert kept["methods"] and set(kept["methods"]) <= names
    for name, pairs in kept["methods"].items():
        for pair, row in pairs.items():
            assert kept["pairs"][pair] and (name not in LOSSES or told(monkeypatch, name, row))


@pytest.mark.parametrize(
    "name", ["rkd", "srd", "srd-correlation", "cc", "cc-taylor", "pkt", "pad-l2", "crd"]
)
def test_a_loss_of_embeddings_looks_before_the_classifier(name: str) -> None:
    where = "Layers where a recipe says none: "
    assert f"{where}what enters the classifier\n" in run("methods", name)
    assert f"{where}at the end of every stage\n" in run("methods", "irg")
    assert where not in run("methods", "kd")


def test_a_companion_s_knobs_are_explained() -> None:
    text = run("methods", "crd")
    assert "    negatives: K, drawn with replacement.\n" in text and "    samples:" not in text


def test_every_companion_says_what_its_knobs_are() -> None:
    rows = {row["name"]: row for row in json.loads(run("methods", "--json"))}
    for name, member in LOSSES.items():
        if member.companion is not None:
            assert set(rows[name]["companion_knobs"]) == set(
                find_signature(member.companion).knobs.model_fields
            )
            assert all(rows[name]["companion_knobs"].values())


def test_a_knob_that_takes_two_lines_is_told_on_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_companion_of_members.py").write_text(
        "def f(x, *, wide: Count = 2, deep: Count = 1):\n"
        '    """Sum.\n\n    Args:\n        x: [B].\n        wide: how\n            much.\n'
        '        deep: too.\n\n    Returns:\n        All.\n    """\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    beside = Member("own_companion_of_members", "f", "")
    told = members._beside(beside._replace(companion=beside))
    assert told == {"wide": "how much.", "deep": "too."}


def test_a_knob_of_a_few_words_says_them() -> None:
    knobs = {knob["name"]: knob for knob in json.loads(run("methods", "kdcl", "--json"))["knobs"]}
    assert knobs["rule"]["want"] == "min-logit or naive or mean"
