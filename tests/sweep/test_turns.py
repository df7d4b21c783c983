from __future__ import annotations

from pathlib import Path

from edgekd.progress import RunEnd
from edgekd.progress import StepEnd
from edgekd.progress import StepStart
from edgekd.store import locking
from edgekd.sweep.turns import MachineTurns


def is_free(folder: Path) -> bool:
    with locking.try_exclusive_lock(folder / "machine.lock") as free:
        return free


def is_shared(folder: Path) -> bool:
    """Whether another process could train beside."""
    with locking.try_exclusive_lock(folder / "door.lock") as door:
        if not door:
            return False
    import fcntl

    with (folder / "machine.lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_only_steps_that_time_have_the_machine_alone(tmp_path: Path) -> None:
    turns = MachineTurns(tmp_path, print)
    for stage, shared in (("train", True), ("measure", False), ("tune", False), ("export", True)):
        turns.follow(StepStart("label", stage))
        assert not is_free(tmp_path) and is_shared(tmp_path) == shared, stage
        turns.follow(StepEnd("label", stage, False, 1.0, {}))
        assert is_free(tmp_path)


def test_a_run_that_fails_gives_the_machine_back(tmp_path: Path) -> None:
    turns = MachineTurns(tmp_path, print)
    turns.follow(StepStart("label", "measure"))
    turns.follow(RunEnd(tmp_path, None, ValueError()))
    assert is_free(tmp_path)
