"""What a recipe names from tables, and what stands behind a loss of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.plan import members
from edgekd.recipe import Recipe
from edgekd.recipe import text
from edgekd.run import Options
from edgekd.stage import origin_of

OWN = "python:own_of_members:pull"
SOURCE = "from near_members import scale\ndef pull(student_logits, *, power: float = 2.0): ...\n"


def recipe(**more: Any) -> Recipe:
    value = {
        "name": "own",
        "data": {"source": "digits"},
        "teacher": {"model": "resnet8"},
        "student": {"model": "resnet8"},
        "learn": [{"step": "distil", "losses": ["kd", {"name": OWN, "power": 3.0}]}],
        "targets": [{"runtime": "onnxruntime", "precision": ["fp32"]}],
        **more,
    }
    return recipes.validate(text.ParsedRecipe(value, {(): "a recipe"}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_of_members.py").write_text(SOURCE)
    (tmp_path / "near_members.py").write_text("scale = 1.0\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options(folder: Path, *, allow_code: bool) -> Options:
    return Options(run_dir=folder / "run", store=folder / "store", allow_code=allow_code)


def test_every_name_has_its_key(folder: Path) -> None:
    factorize = {"step": "factorize", "speedup": 1.5, "recover": {"losses": [OWN, "kd"]}}
    found = recipe(
        student={"model": "wrn-16-1", "losses": [OWN]},
        teachers={"other": {"model": "vgg8"}},
        learn=[{"step": "distil", "losses": ["kd"], "scheme": "ema"}, factorize],
    )
    assert {choice.key: str(choice.named) for choice in members.list_choices(found)} == {
        "task": "classification",
        "data.source": "digits",
        "teacher.model": "resnet8",
        "student.model": "wrn-16-1",
        "teachers.other.model": "vgg8",
        "learn.0.scheme": "ema",
        "student.losses.0": OWN,
        "learn.0.losses.0": "kd",
        "learn.1.recover.losses.0": OWN,
        "learn.1.recover.losses.1": "kd",
    }
    assert members.list_used_plugins(found) == ()


def test_code_of_the_users_own_needs_leave(folder: Path) -> None:
    with pytest.raises(InputError, match=f"learn.0.losses.1: got {OWN}, .*your own code") as caught:
        plan.steps(recipe(), folder, options(folder, allow_code=False))
    assert caught.value.hint == "add --allow-code"


def origins(folder: Path) -> dict[str, dict[str, str]]:
    steps = plan.steps(recipe(), folder, options(folder, allow_code=True))
    makers = {step.label: step for step in steps}
    return {step.label: origin_of(step, makers) for step in steps}


def test_the_losss_files_are_in_the_key_of_what_it_trains(folder: Path) -> None:
    before = origins(folder)
    assert set(before["distil"]) == {"own_of_members.py", "near_members.py"}
    (folder / "near_members.py").write_text("scale = 2.0\n")
    after = origins(folder)
    changed = {label for label in before if before[label] != after[label]}
    assert {"check", "distil", "export-student"} <= changed
    assert not changed & {"data", "teacher", "control", "tune-student", "measure"}
