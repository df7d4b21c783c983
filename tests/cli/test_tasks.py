"""``edgekd tasks``: every task in a line without numpy, one in full, with a recipe that loads as it stands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd import cli
from edgekd import recipe
from edgekd.cli import tasks
from edgekd.errors import InputError
from edgekd.fields import FIELDS
from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.recipe import text as recipe_text
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task


def run(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "120"}).invoke(cli.main, list(arguments))
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_the_table_has_a_line_for_each() -> None:
    lines = run("tasks").splitlines()
    assert [line.split()[0] for line in lines] == list(BUILT_IN)
    rows = json.loads(run("tasks", "--json"))
    assert {row["name"]: row["summary"] for row in rows} == {
        name: entry.summary for name, entry in BUILT_IN.items()
    }


def test_the_list_costs_neither_numpy_nor_torch() -> None:
    code = "import sys; from edgekd import cli; cli.main(['tasks'], standalone_mode=False); sys.exit(bool({'numpy', 'torch', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", BUILT_IN)
def test_one_is_told_in_full(name: str) -> None:
    task, text = load_task(name), run("tasks", name)
    known = json.loads(run("tasks", name, "--json"))
    assert known["targets"] == dict(task.targets) and set(known["inputs"]) <= set(FIELDS)
    assert [metric["name"] for metric in known["metrics"]] == [m.name for m in task.metrics]
    assert [metric["score"] for metric in known["metrics"]].index(True) == 0
    assert "python" in known["sources"] and known["recipe"] in text
    assert len(known["soft_losses"]) == len(task.soft_losses) > 0
    for words in (
        *known["soft_losses"],
        *task.targets,
        *task.targets.values(),
        *task.losses,
        "the score: it decides",
    ):
        assert words in text
    for output in task.outputs:
        assert f"{output.name}" in text and f"[{', '.join(map(str, output.shape))}]" in text


def test_inputs_are_the_kinds_that_a_model_takes() -> None:
    known = json.loads(run("tasks", "classification", "--json"))
    assert known["inputs"] == ["image", "number", "tokens", "text-pair", "conversation", "array"]


def test_sources_are_those_that_give_the_targets() -> None:
    composed = {"turned-digits", "digit-scenes", "digit-crowds", "mask-folder", "arrays", "images"}
    composed |= {"tagged-text", "text-corpus", "text-pairs", "chat", "masked-text"}
    known = {name: json.loads(run("tasks", name, "--json"))["sources"] for name in BUILT_IN}
    assert known["classification"] == [name for name in SOURCES if name not in composed]
    assert known["regression"] == ["turned-digits", "table", "python"]
    assert known["segmentation"] == ["digit-scenes", "mask-folder", "table", "python"]
    assert known["multi-label"] == ["digit-crowds", "table", "python"]
    assert known["masked-language-modelling"] == ["masked-text", "table", "python"]
    assert known["token-classification"] == ["tagged-text", "table", "python"]
    assert known["sentence-embedding"] == ["text-pairs", "table", "python"]
    assert known["language-modelling"] == ["text-corpus", "chat", "table", "python"]


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_its_recipe_loads_as_it_stands(name: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    (tmp_path / "model.onnx").touch()
    path.write_text(tasks.make_recipe_text(name, load_task(name)))
    loaded = recipe.load(path)
    assert loaded.task == name
    assert set(load_task(name).losses) <= set(LOSSES)


def test_what_is_no_task_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as raised:
        run("tasks", "segmentaton")
    assert "'segmentation'" in raised.value.hint


def test_ones_own_runs_only_when_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from edgekd.tasks.segmentation import TASK\n"
    (tmp_path / "shown_task_of_mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = "python:shown_task_of_mine:TASK"
    with pytest.raises(InputError, match="want that allowed"):
        run("tasks", name)
    told = run("tasks", name, "--allow-code")
    assert f"{name}: your own" in told and f"\ntask: {name}\n" in told
    document = recipe_text.parse(told.partition("A recipe:\n\n")[2], ".yaml", "text")
    assert document.value["name"] == "python-shown-task-of-mine-task"
