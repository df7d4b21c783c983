"""The table of tasks: every member is one, a user's own needs leave."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.task import Task
from edgekd.tasks import TASKS
from edgekd.tasks import load_task


def test_every_member_is_a_task_with_a_score() -> None:
    for name in TASKS:
        found = load_task(name)
        assert isinstance(found, Task) and found.score in found.metrics and found.losses
        known = {metric.name for metric in found.metrics}
        assert len(known) == len(found.metrics) and found.chance_metric in {*known, ""}
        assert {output.target for output in found.outputs} <= {*found.targets, ""}


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as raised:
        load_task("clasification")
    assert "classification" in raised.value.hint


def test_a_users_own_runs_only_when_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from edgekd.tasks.classification import TASK\nOTHER = 3\n"
    (tmp_path / "own_task_of_mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(InputError, match="want that allowed"):
        load_task("python:own_task_of_mine:TASK")
    assert load_task("python:own_task_of_mine:TASK", allow_code=True).losses == ("cross-entropy",)
    with pytest.raises(InputError, match=r"got int, want an edgekd\.task\.Task"):
        load_task("python:own_task_of_mine:OTHER", allow_code=True)
    with pytest.raises(InputError, match="got nothing of that name"):
        load_task("python:own_task_of_mine:THIRD", allow_code=True)
