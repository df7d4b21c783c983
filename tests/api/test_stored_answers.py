"""Only what stored answers stand on is made for them."""

from __future__ import annotations

import collections
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekd import files
from edgekd import recipe as recipes
from edgekd.api import stored_answers
from edgekd.errors import InputError
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.choosing import LayerChoice
from edgekd.plan import settling
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stage import input_digests
from edgekd.stage import key_inputs
from edgekd.stages import knowledge
from edgekd.store import Blob
from edgekd.store import CreationTime
from edgekd.store import compute_key
from tests.knowledge_example import Teacher
from tests.knowledge_example import as_folder
from tests.knowledge_example import fill
from tests.knowledge_example import require_untouched


class Walker:
    """Notes what it is to make."""

    def __init__(self, store: Any, options: Any, progress: Any, bindings: Any) -> None:
        self.store, self.progress = store, progress
        self.entries: dict[str, Any] = {}

    def walk(self, steps: list[Step]) -> None:
        for step in steps:
            self.entries[step.label] = SimpleNamespace(made=list(self.entries))


def build(
    folder: Path, *learn: dict[str, Any], source: Path | None = None, **more: Any
) -> dict[str, Any]:
    recipe = recipes.load_mapping(
        {
            "name": "small",
            "data": {"source": "digits"},
            "teacher": {"model": "resnet20"},
            "student": {"model": "resnet8"},
            "learn": [{"step": "distil", "losses": ["kd"], **step} for step in learn],
            "targets": [{"runtime": "onnxruntime"}],
            **more,
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


class MakingWalker(Walker):
    """Makes answers of a teacher that counts what it is asked; all other results are empty files."""

    teachers: list[Teacher] = []

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.bindings = arguments[-1]
        self.steps: dict[str, Step] = {}

    def walk(self, steps: list[Step]) -> None:
        for step in steps:
            self.steps[step.label] = step
            inputs = key_inputs(step, input_digests(step, self.entries), self.bindings, {})
            made = {}
            if step.stage is knowledge.STAGE:
                self.teachers.append(Teacher())
                place = self.store.work_folder(compute_key(inputs)) / "checkpoints"
                made = fill(files.make_folder(place), self.teachers[-1])
            entry = self.store.commit(inputs, made, CreationTime("2026-01-02T03:04:05Z", 1.0))
            blobs = collections.defaultdict(lambda: Blob(files.digest_bytes(b""), 0), entry.files)
            self.entries[step.label] = entry._replace(files=blobs)


STORED = {"encoding": "fp32"}


def test_answers_are_taken_out_of_a_store_that_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_answers, "Walker", MakingWalker)
    monkeypatch.setattr(MakingWalker, "teachers", [])
    monkeypatch.setattr(layout, "SHARD_BYTES", 180)
    made = build(tmp_path / "theirs", {}, knowledge=STORED)["knowledge"]
    shared = tmp_path / "theirs" / "store"
    with require_untouched(shared):
        brought = build(tmp_path / "ours", {}, knowledge=STORED, source=shared)["knowledge"]
    assert brought.files == made.files
    alone, taught = MakingWalker.teachers
    assert (alone.calls, taught.calls) == (1 + 9 + 1, 2)  # for the shape, and to verify
    with pytest.raises(InputError, match="theirs/store: got no answers of this teacher, data and"):
        build(tmp_path / "others", {}, knowledge=STORED, source=shared, views={"count": 2})


def test_what_cannot_be_taken_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_answers, "Walker", None)
    with pytest.raises(InputError, match="knowledge.json"):
        build(tmp_path, {}, source=tmp_path)
    exported = as_folder(fill(tmp_path / "work", Teacher()), tmp_path / "out")
    with pytest.raises(InputError, match="got no `knowledge`"):
        build(tmp_path, {}, source=exported)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"losses": ["kd", "fitnet"], "knowledge": "online"}, "for loss fitnet reads its layers"),
        ({"knowledge": "online"}, "for it says `knowledge: online`"),
        ({"losses": ["kd", "simkd"]}, "for loss simkd takes its classifier"),
        ({"losses": ["cross-entropy"], "scheme": "cs-kd"}, "distil hears no teacher"),
    ],
)
def test_where_nothing_is_stored_nothing_is_made_and_each_step_says_why(
    tmp_path: Path, words: dict[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match="no step of learning that reads stored answers") as found:
        build(tmp_path, words)
    assert why in str(found.value) and "`knowledge: stored`" in found.value.hint


def test_layers_are_stored_only_once_the_rehearsal_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = {"distil": LayerChoice(True, "storing is faster", 1, 1.0, 2.0)}
    monkeypatch.setattr(stored_answers, "Walker", Walker)
    monkeypatch.setattr(settling, "read_choices", lambda *_: choices)
    made = build(tmp_path, {"losses": ["kd", "fitnet"]})
    assert {"data", "check", "teacher"} < set(made["knowledge"].made)
    choices["distil"] = LayerChoice(False, "storing is no faster", 10**6, 3.0, 2.0)
    message = "distil: the teacher's layers are computed in every step, for storing is no faster"
    with pytest.raises(InputError, match=f"{message}: stored, about 3.0 s and 1 MB; computed"):
        build(tmp_path, {"losses": ["kd", "fitnet"]})
