"""Only what stored answers stand on is made for them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekd import recipe as recipes
from edgekd.api import stored_answers
from edgekd.errors import InputError
from edgekd.learn.knowledge.choosing import LayerChoice
from edgekd.plan import settling
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.stage import Step
from tests.knowledge_example import Teacher
from tests.knowledge_example import as_folder
from tests.knowledge_example import fill


class Walker:
    """Notes what it is to make."""

    def __init__(self, store: Any, options: Any, progress: Any, bindings: Any) -> None:
        self.store, self.progress = store, progress
        self.entries: dict[str, Any] = {}

    def walk(self, steps: list[Step]) -> None:
        for step in steps:
            self.entries[step.label] = SimpleNamespace(made=list(self.entries))


def build(folder: Path, *learn: dict[str, Any], source: Path | None = None) -> dict[str, Any]:
    recipe = recipes.load_mapping(
        {
            "name": "small",
            "data": {"source": "digits"},
            "teacher": {"model": "resnet20"},
            "student": {"model": "resnet8"},
            "learn": [{"step": "distil", "losses": ["kd"], **step} for step in learn],
            "targets": [{"runtime": "onnxruntime"}],
        }
    )
    options = Options(run_dir=folder / "run", store=folder / "store")
    path = folder / "r.yaml"
    return dict(stored_answers.build_knowledge(recipe, path, options, Silent(), source))


def test_a_teacher_and_what_it_learns_from_are_made_and_no_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_answers, "Walker", Walker)
    made = build(tmp_path, {})
    assert list(made) == ["knowledge"]
    assert set(made["knowledge"].made) == {"data", "tune-teacher", "teacher"}
    assistant = {"start": "fresh", "teachers": ["distil-1"]}
    second = build(tmp_path, {"model": "resnet14"}, assistant)["knowledge-distil-1"]
    assert {"distil-1", "knowledge", "teacher"} < set(second.made)
    assert not {"control", "distil-2", "export-student"} & set(second.made)


def test_what_cannot_be_taken_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_answers, "Walker", None)
    with pytest.raises(InputError, match="knowledge.json"):
        build(tmp_path, {}, source=tmp_path)
    exported = as_folder(fill(tmp_path / "work", Teacher()), tmp_path / "out")
    with pytest.raises(InputError, match="got no `knowledge`"):
        build(tmp_path, {}, source=exported)


def test_where_nothing_is_stored_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no step of learning that reads stored answers"):
        build(tmp_path, {"losses": ["kd", "fitnet"], "knowledge": "online"})


def test_layers_are_stored_only_once_the_rehearsal_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = {"distil": LayerChoice(True, "storing is faster", 1, 1.0, 2.0)}
    monkeypatch.setattr(stored_answers, "Walker", Walker)
    monkeypatch.setattr(settling, "read_choices", lambda *_: choices)
    made = build(tmp_path, {"losses": ["kd", "fitnet"]})
    assert {"data", "check", "teacher"} < set(made["knowledge"].made)
    choices.clear()
    with pytest.raises(InputError, match="no step of learning that reads stored answers"):
        build(tmp_path, {"losses": ["kd", "fitnet"]})
