"""The tasks, by the name a recipe uses; see `edgekd.task` for what one is."""

from __future__ import annotations

from edgekd import code
from edgekd.errors import InputError
from edgekd.errors import nearest
from edgekd.table import Member
from edgekd.table import Table
from edgekd.task import Task

_HERE = "edgekd.tasks"

_BUILT_IN: dict[str, Member] = {
    "classification": Member(f"{_HERE}.classification", "TASK", "one class a sample"),
}
TASKS = Table("task", _BUILT_IN, takes_own=True)


def load_task(name: str, *, allow_code: bool = False) -> Task:
    """The task that a recipe or data.json names.

    Args:
        name: of `TASKS`, or ``python:package.module:TASK``.
        allow_code: whether a user's own may run.

    Raises:
        InputError: if there is none, it may not run, or it is no `Task`.
    """
    if name not in TASKS:
        raise InputError(f"task: got unknown {name!r}", hint=nearest(name, TASKS))
    found = code.load_object(TASKS[name], f"task {name}", allow_code=allow_code)
    if not isinstance(found, Task):
        got = "nothing of that name" if found is None else type(found).__name__
        raise InputError(f"task {name}: got {got}, want an edgekd.task.Task")
    return found
