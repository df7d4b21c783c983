"""CONTRIBUTING.md's example does what it says, word for word."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.cli import main
from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import Term
from edgekd.plugins import GROUPS
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.stage import Bindings
from edgekd.stage import Step
from edgekd.table import Member
from edgekd.table import find_signature
from edgekd.walk import Walker
from edgekd.walk import open_store

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
SECTION = TEXT.partition("## Add a loss in ten minutes\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", SECTION, re.DOTALL)
LOSS, RECIPE, TEST, LINE, ENTRY = (text for _, text in BLOCKS)
NAME = "python:my_losses:overlap"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "my_losses.py").write_text(LOSS)
    (tmp_path / "my_recipe.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("my_losses", "table_of_mine"):
        sys.modules.pop(name, None)


def steps_before(label: str, steps: tuple[Step, ...]) -> list[Step]:
    """The steps that `label` takes files from, itself last, in order."""
    makers, needed = {step.label: step for step in steps}, {label}
    for step in reversed(steps):
        if step.label in needed:
            needed |= {maker for maker, _ in makers[step.label].takes.values()}
    return [step for step in steps if step.label in needed]


@pytest.mark.trains
def test_the_recipe_trains_a_student_with_the_loss(folder: Path) -> None:
    path = folder / "my_recipe.yaml"
    recipe = recipes.load(path)
    options = Options(run_dir=folder / "run", store=folder / "store", allow_code=True)
    with open_store(options) as store:
        walker = Walker(store, options, Silent(), Bindings("host", "device"))
        walker.walk(steps_before("distil", plan.steps(recipe, path.parent, options)))
        (epoch,) = _history(walker)
    assert 0 < epoch[NAME] < 1 and epoch["cross-entropy"] > 0


def _history(walker: Walker) -> list[dict[str, float]]:
    found: list[dict[str, float]] = json.loads(walker.path("distil", "history.json").read_bytes())
    return found


def run_test(folder: Path) -> None:
    """Its test, in a fresh process as its reader runs it."""
    (folder / "test_my_losses.py").write_text(TEST)
    code = "import test_my_losses as test; test.test_overlap_by_hand()"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_its_test_passes_and_fails_without_the_temperature(folder: Path) -> None:
    run_test(folder)
    (folder / "my_losses.py").write_text(LOSS.replace("logits / temperature", "logits"))
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_test(folder)
    assert b"AssertionError" in caught.value.stderr


def test_what_it_says_of_the_loss_is_shown_without_running_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["methods", NAME], standalone_mode=False)
    shown = capsys.readouterr().out
    assert "total variation distance" in shown and "temperature  number > 0  2.0" in shown
    assert "my_losses" not in sys.modules


def test_its_line_is_one_of_the_table(folder: Path) -> None:
    table = f"from edgekd.table import Member\n_HERE = 'my_losses'\nLOSSES = {{{LINE}}}\n"
    (folder / "table_of_mine.py").write_text(table)
    sys.path.append(str(folder))
    line: dict[str, Member] = importlib.import_module("table_of_mine").LOSSES
    ((name, member),) = line.items()
    assert member.module == "my_losses.overlap" and name not in LOSSES
    own = find_signature(member._replace(module="my_losses"))
    assert own.positional == ("student_logits", "teacher_logits")


def test_its_entry_point_is_of_a_group_and_words_exist() -> None:
    groups = tomllib.loads(ENTRY)["project"]["entry-points"]
    assert groups == {GROUPS["loss"]: {"overlap": "my_losses:overlap"}}
    for group in re.findall(r"`(edgekd\.\w+)`", SECTION):
        assert group in GROUPS.values()
    for word in ("weight", "ramp", "standardize", "layers"):
        assert word in Term.model_fields
