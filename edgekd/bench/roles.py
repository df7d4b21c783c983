"""The models of a run that are compared: who teaches, or what the run began with; who learned without a teacher; who
learned from one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from typing import Literal

TEACHER: Final = "teacher"
CONTROL: Final = "control"
STUDENT: Final = "student"
REFERENCE: Final = "reference"
"""The float student that the run began with: where there is no teacher, what the finished one is compared with."""
ROLES = (TEACHER, REFERENCE, CONTROL, STUDENT)
"""In the order in which they are shown; a run has some of them."""
MeasuredRole = Literal["student", "teacher", "reference"]
"""Of models that are compiled."""
BEGINNING = "float model it began with"
NAMES = {TEACHER: "teacher", REFERENCE: BEGINNING, STUDENT: BEGINNING}
"""What the student is compared with, in a sentence about it, after an article."""


def find_reference(roles: Collection[str]) -> MeasuredRole:
    """Find what candidates are compared with: the teacher; without one what the run began with, which is the student
    in float32 where no step of learning changed that."""
    compared: tuple[MeasuredRole, ...] = (TEACHER, REFERENCE)
    return next((role for role in compared if role in roles), STUDENT)
