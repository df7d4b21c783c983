"""Answers from another machine are taken where they are of the same things; what is broken is asked anew."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.importing import import_remains
from edgekd.learn.knowledge.importing import import_shards
from tests.knowledge_example import ORIGIN
from tests.knowledge_example import Teacher
from tests.knowledge_example import as_folder
from tests.knowledge_example import fill


class Rounding(Teacher):
    """Answers as another machine does."""

    def __init__(self, off: float) -> None:
        super().__init__()
        self.off = off

    def answer(self, view: int, indices: np.ndarray) -> tuple[np.ndarray, ...]:
        (given,) = super().answer(view, indices)
        return ((given + self.off).astype(np.float32),)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(layout, "SHARD_BYTES", 180)
    return as_folder(fill(tmp_path / "made", Teacher()), tmp_path / "source")


def bring(source: Path, folder: Path) -> Path:
    folder.mkdir()
    import_shards(source, folder)
    return folder


def change(source: Path, **changed: Any) -> None:
    path = source / "knowledge.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_what_is_sound_is_not_asked_again(source: Path, tmp_path: Path) -> None:
    teacher = Teacher()
    made = fill(bring(source, tmp_path / "work"), teacher)
    assert teacher.calls == 2  # for the shape, and to verify
    assert {n: p.read_bytes() for n, p in made.items()} == {
        path.name: path.read_bytes() for path in source.iterdir()
    }


def test_answers_that_round_otherwise_are_taken_and_other_ones_are_not(
    source: Path, tmp_path: Path
) -> None:
    made = fill(bring(source, tmp_path / "near"), Rounding(1e-3))
    assert made["shard-00002.rows"].read_bytes() == (source / "shard-00002.rows").read_bytes()
    error = json.loads(made["knowledge.json"].read_text())["error"]
    assert error["largest_difference"] == pytest.approx(1e-3, rel=0.01)
    change(source, error={"largest_difference": 99.0})
    folder = bring(source, tmp_path / "far")
    with pytest.raises(MachineError, match="other answers"):
        fill(folder, Rounding(1.0))
    assert not list(folder.iterdir())


@pytest.mark.parametrize("kind", ["changed", "short", "missing", "pipe", "endless"])
def test_a_broken_shard_is_asked_anew(source: Path, tmp_path: Path, kind: str) -> None:
    shard = source / "shard-00002.rows"
    want = shard.read_bytes()
    shard.unlink()
    if kind == "pipe":
        os.mkfifo(shard)
    elif kind == "endless":
        shard.symlink_to("/dev/zero")
    elif kind != "missing":
        shard.write_bytes(bytes(len(want) - (kind == "short")))
    teacher = Teacher()
    made = fill(bring(source, tmp_path / "work"), teacher)
    assert made["shard-00002.rows"].read_bytes() == want
    assert teacher.calls == 2 + 2  # a shard of eight samples is two batches


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"origin": {**ORIGIN, "teacher": "b" * 64}},
            f'knowledge: got answers of another teacher (got "{"b" * 64}", want "{"a" * 64}")',
        ),
        (
            {"origin": {**ORIGIN, "views": {"count": 9}, "data": "d" * 64}},
            f'another views (count: got 9, want 3), data (got "{"d" * 64}", want "{"f" * 64}")',
        ),
        (
            {"origin": {**ORIGIN, "classes": ["a", "c", "b"]}},
            'classes (the same in another order: number 2: got "c", want "b")',
        ),
        ({"origin": {**ORIGIN, "classes": ["a", "b"]}}, "classes (got 2, want 3)"),
        (
            {"origin": {name: ORIGIN[name] for name in ("teacher", "views", "data")}},
            'classes (got null, want ["a","b","c"])',
        ),
        ({"encoding": {"encoding": "bf16"}}, 'encoding (encoding: got "bf16", want "fp32")'),
        ({"samples": 12}, "number of views and samples (number 2: got 12, want 11)"),
    ],
)
def test_answers_of_something_else_are_refused_by_name_and_stand_in_nobody_s_way(
    source: Path, tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    change(source, **changed)
    folder = bring(source, tmp_path / "work")
    with pytest.raises(InputError, match=re.escape(message)):
        fill(folder, Teacher())
    assert not list(folder.iterdir())
    fill(folder, Teacher())


@pytest.mark.parametrize("lost", ["knowledge.json", "shard-00002.rows", "shard-00005.rows"])
def test_of_answers_that_lost_a_shard_only_that_one_is_asked_again(
    source: Path, tmp_path: Path, lost: str
) -> None:
    left = {path.name: path for path in source.iterdir() if path.name != lost}
    folder, teacher = tmp_path / "work", Teacher()
    folder.mkdir()
    import_remains({**left, "shard-1.rows": source, "x": source}, folder)
    made = fill(folder, teacher)
    batches = {"knowledge.json": 0, "shard-00002.rows": 2, "shard-00005.rows": 1}
    assert teacher.calls == 2 + batches[lost]
    assert {name: path.read_bytes() for name, path in made.items()} == {
        **{name: path.read_bytes() for name, path in left.items()},
        lost: (source / lost).read_bytes(),
    }


def test_what_is_left_of_other_answers_is_not_believed(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    import_remains({path.name: path for path in source.iterdir()}, folder)
    with pytest.raises(MachineError, match="other answers"):
        fill(folder, Rounding(1e-3))
    assert not list(folder.iterdir())


def test_another_machine_s_arithmetic_and_shards_are_no_difference(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(source, origin={**ORIGIN, "arithmetic": "there"})
    monkeypatch.setattr(layout, "SHARD_BYTES", 80)
    teacher = Teacher()
    made = fill(bring(source, tmp_path / "work"), teacher)
    assert teacher.calls == 2
    assert json.loads(made["knowledge.json"].read_text())["origin"] == ORIGIN


def test_what_is_no_store_is_not_brought(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        import_shards(tmp_path, tmp_path)
    assert not list(tmp_path.iterdir())
