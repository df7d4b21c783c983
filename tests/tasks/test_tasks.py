"""The table of tasks: every member is one, a user's own needs leave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.task_check import require_sound
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task
from edgekd.tasks import task_table


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_member_is_a_sound_task(name: str) -> None:
    require_sound(load_task(name))
    assert load_task(name).losses and name in task_table()
    assert task_table()[name].summary


def test_a_board_loads_a_task_without_pydantic() -> None:
    code = (
        "import sys; from edgekd.tasks import BUILT_IN, load_task; [load_task(n) for n in BUILT_IN]; "
        "sys.exit('pydantic' in sys.modules or 'torch' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_users_unsound_task_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from edgekd.tasks.classification import TASK\nTASK = TASK._replace(metrics=())\n"
    (tmp_path / "unsound_task_of_mine.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(InputError, match=r"TASK: metrics: got '\(\)', want some"):
        load_task("python:unsound_task_of_mine:TASK", allow_code=True)


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
