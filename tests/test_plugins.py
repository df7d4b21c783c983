"""What an installed distribution adds through entry points has the rights of edgekd's own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from pydantic import TypeAdapter
from pydantic import ValidationError

from edgekd import cli
from edgekd import plan
from edgekd import plugins
from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn import blueprint
from edgekd.learn.assembly import connection
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.learn.model_settings import ModelName
from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.schemes import SchemeName
from edgekd.learn.settings import Losses
from edgekd.plan import members
from edgekd.progress import Silent
from edgekd.recipe import Recipe
from edgekd.recipe import text
from edgekd.run import Options
from edgekd.runtimes import KIND
from edgekd.stage import Context
from edgekd.stage import Step
from edgekd.stages import data
from edgekd.tasks import load_task
from edgekd.tasks import task_table
from tests import plugin_example
from tests.plugin_example import install

TABLES = {"edgekd.losses": LOSSES, "edgekd.schemes": SCHEMES, "edgekd.models": MODELS}
TABLES["edgekd.sources"] = SOURCES
TABLES["edgekd.tasks"] = task_table()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from plugin_example.installed(tmp_path, monkeypatch)


def recipe(**more: Any) -> Recipe:
    value = {
        "name": "plugged",
        "data": {"source": "squares"},
        "teacher": {"model": "resnet8"},
        "student": {"model": {"name": "linear", "hidden": 4}},
        "learn": [
            {"step": "distil", "scheme": "swapped", "losses": [{"name": "angle", "power": 2.0}]}
        ],
        "targets": [{"runtime": "onnxruntime", "precision": ["fp32"]}],
        **more,
    }
    return recipes.validate(text.ParsedRecipe(value, {(): "a recipe"}))


def steps(folder: Path, found: Recipe) -> dict[str, Step]:
    options = Options(run_dir=folder / "run", store=folder / "store")
    return {step.label: step for step in plan.steps(found, folder, options)}


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli.main, list(arguments))
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_names_are_added_and_nothing_is_imported(site: Path) -> None:
    for group, table in TABLES.items():
        (name,) = plugin_example.POINTS[group]
        assert name in table and list(table)[-1] == name and len(table) == len(list(table))
        member = table[name]
        assert str(member.plugin) == "plugged-example 1.2" and not member.built_in
    found = recipe()
    assert members.list_used_plugins(found) == tuple(
        SOURCES["squares"].plugin
        and [t[n].plugin for t, n in ((SOURCES, "squares"), (MODELS, "linear"))]
        + [t[n].plugin for t, n in ((SCHEMES, "swapped"), (LOSSES, "angle"))]
    )
    assert not (site / "ran").exists() and "plugged_example" not in sys.modules
    with pytest.raises(InputError, match="power: got -1"):
        recipe(learn=[{"step": "distil", "losses": [{"name": "angle", "power": -1}]}])
    with pytest.raises(InputError, match="did you mean 'angle'"):
        recipe(learn=[{"step": "distil", "losses": ["angl"]}])


def test_a_task_needs_no_leave(site: Path) -> None:
    assert load_task("shapes").losses == ("cross-entropy", "kd")


def test_a_loss_needs_no_leave(site: Path) -> None:
    terms = TypeAdapter(Losses).validate_python(("angle",))
    (term,) = connection.connect_outputs(terms, 4, classes=3, samples=9).terms
    same = torch.randn(4, 3)
    value = term.value({"student_logits": same, "teacher_logits": -same})
    assert float(value) == pytest.approx(2.0)


def test_a_model_takes_the_shape_and_its_knobs(site: Path) -> None:
    named = TypeAdapter(ModelName).validate_python({"name": "linear", "hidden": 5})
    assert named.arguments == {"hidden": 5}
    ends = image_classifier(classes=2, channels=1, height=4, width=4)
    model = blueprint.build(
        blueprint.Blueprint(builder=named.name, arguments=named.arguments, interface=ends)
    )
    assert [tuple(p.shape) for p in model.parameters()] == [(5, 16), (5,), (2, 5), (2,)]


def test_a_scheme_takes_participants(site: Path) -> None:
    read = TypeAdapter(SchemeName).validate_python
    assert read({"name": "swapped", "share": 0.25}).arguments == {"share": 0.25}
    install(site, {"edgekd.schemes": {"lost": "plugged_example.members:lost"}})
    with pytest.raises(ValidationError, match="takes 'pupil', want a participant"):
        read("lost")


def test_a_source_is_read(site: Path, tmp_path: Path) -> None:
    config = data.DataConfig.model_validate({"source": {"name": "squares", "sides": 6}})
    (tmp_path / "made").mkdir()
    context = Context(folder=tmp_path / "made", checkpoints=tmp_path, seed=0, progress=Silent())
    made = data.run(config, {}, context)
    assert json.loads(made["data.json"].read_bytes())["inputs"]["images"]["height"] == 6


def test_files_and_version_are_in_the_keys_of_what_uses_it(site: Path, tmp_path: Path) -> None:
    steps_of = steps(tmp_path, recipe(data={"source": "digits"}))
    assert "plugged_example" not in sys.modules
    before = {label: step.origin() for label, step in steps_of.items() if step.origin}
    assert {"data", "check", "tune-student", "control", "distil"} == set(before)
    module = site / "plugged_example" / "members.py"
    module.write_text(module.read_text() + "\n# another\n")
    for label in set(before) - {"data"}:
        assert any(name.endswith("members.py") for name in before[label]), label
        assert "1.2" in before[label].values(), label
        again = steps_of[label].origin
        assert again is not None and again() != before[label], label
    of_data = steps(tmp_path, recipe())["data"].origin
    assert of_data is not None and {"members.py", "plugged-example"} <= set(of_data())


def test_a_built_in_name_is_not_taken(site: Path, tmp_path: Path) -> None:
    install(
        site, {**plugin_example.POINTS, "edgekd.losses": {"kd": "plugged_example.members:angle"}}
    )
    assert LOSSES["kd"].built_in
    found = recipe(learn=[{"step": "distil", "losses": ["kd"]}])
    with pytest.raises(
        InputError, match="loss 'kd': got it from plugged-example 1.2, want another"
    ):
        steps(tmp_path, found)
    (row,) = (row for row in json.loads(run("doctor", "--json"))["plugins"] if row["name"] == "kd")
    assert "want another name" in row["why_not"]


def test_a_name_of_two_distributions_is_nobodys(site: Path) -> None:
    points = {"edgekd.losses": {"angle": "plugged_example.members:angle"}}
    install(site, points, "other-example", "0.1")
    with pytest.raises(InputError, match="angle.*other-example 0.1.*want one of them installed"):
        recipe()
    assert "angle" in run("methods") and "want one of them installed" in run("methods")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("plugged_example.nothing:f", "got no such module"),
        ("plugged_example.members:f", "got no function 'f'"),
        ("plugged_example.members", "want package.module:function"),
        ("plugged_example.broken:f", "text that is not Python"),
    ],
)
def test_a_broken_one_hurts_only_who_names_it(site: Path, reference: str, message: str) -> None:
    (site / "plugged_example" / "broken.py").write_text("def f(:\n")
    points = plugin_example.POINTS["edgekd.losses"]
    install(site, {**plugin_example.POINTS, "edgekd.losses": {**points, "odd": reference}})
    recipe()
    with pytest.raises(InputError, match=message):
        recipe(learn=[{"step": "distil", "losses": ["odd"]}])
    _, _, said = run("methods").partition("\n  odd ")
    said = " ".join(said.split())
    assert said.startswith("cannot be used: ") and message in said
    listed = {row["name"]: row for row in json.loads(run("methods", "--json"))}
    assert "cannot be used" in listed["odd"]["summary"] and listed["angle"]["knobs"]
    rows = {row["name"]: row for row in json.loads(run("doctor", "--json"))["plugins"]}
    assert message in rows["odd"]["why_not"] and rows["angle"]["why_not"] is None
    assert "odd" in run("doctor")
    assert recipes.schema()["$defs"]["Term"]


def test_one_that_raises_when_it_is_imported_is_one_line(site: Path) -> None:
    (site / "plugged_example" / "members.py").write_text(
        "def angle(student_logits): ...\nraise OSError('on purpose')\n"
    )
    terms = TypeAdapter(Losses).validate_python(("angle",))
    with pytest.raises(InputError, match="loss angle: .* raised OSError: on purpose"):
        connection.connect_outputs(terms, 4, classes=3, samples=9)


def test_lists_say_whose_it_is(site: Path) -> None:
    (line,) = (line for line in run("methods").splitlines() if line.split()[0] == "angle")
    assert (
        line.split(None, 1)[1]
        == "One less the cosine of the logits. (plugin of plugged-example 1.2)"
    )
    about = run("methods", "angle")
    assert "plugged-example 1.2" in about and "power  number > 0  1.0" in about
    snippet = yaml.safe_load(about.partition("In a recipe:")[2])
    assert snippet["learn"][0]["losses"] == [{"name": "angle", "power": 1.0}]
    assert "Two layers on the pixels. (plugin of plugged-example 1.2)" in run("models")
    rows = json.loads(run("doctor", "--json"))["plugins"]
    assert [(row["kind"], row["name"], row["version"]) for row in rows] == [
        ("loss", "angle", "1.2"),
        ("scheme", "swapped", "1.2"),
        ("model", "linear", "1.2"),
        ("data source", "squares", "1.2"),
        ("task", "shapes", "1.2"),
    ]


def test_the_result_names_it(site: Path) -> None:
    from edgekd.plan import closing

    made = SimpleNamespace(at="2026-01-01T00:00:00Z", took_s=1.0)
    inputs = {"stage": "measure", "packages": {}, "settings": {"candidates": []}}
    measured = SimpleNamespace(inputs=inputs, files={}, key="0" * 64, made=made)
    step = closing._report(recipe(), {"measure": measured}, None, ())
    assert [plugin["name"] for plugin in step.settings.model_dump()["plugins"]] == [
        "squares",
        "linear",
        "swapped",
        "angle",
    ]


def test_the_plan_says_what_will_run(site: Path, tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text(
        "{name: plugged, data: {source: digits}, teacher: {model: resnet8}, student: {model: linear}, "
        "learn: [{step: distil, losses: [angle]}], targets: [{runtime: onnxruntime, precision: [fp32]}]}"
    )
    where = ("--store", str(tmp_path / "store"), "--run-dir", str(tmp_path / "run"))
    told = json.loads(run("compress", str(tmp_path / "short.yaml"), "--dry-run", "--json", *where))
    assert told["runs plugins"] == ["linear (plugged-example 1.2)", "angle (plugged-example 1.2)"]
    assert told["runs code of yours"] == []


def test_nothing_is_looked_for_where_built_in_names_are_used() -> None:
    """In a fresh process: its start, and a recipe that ships."""
    code = (
        "from pathlib import Path; from edgekd import cli, plugins, recipe; "
        f"recipe.load(Path({str(Path(__file__).parents[1] / 'pipelines/quickstart.yaml')!r})); "
        "print(plugins.list_plugins.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_every_kind_has_its_table() -> None:
    kinds = {table.kind: group for group, table in TABLES.items()}
    assert kinds | {KIND: "edgekd.runtimes"} == plugins.GROUPS
