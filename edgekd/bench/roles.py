"""The three models of every run: who teaches, who learned without a teacher, who learned from one."""

from __future__ import annotations

from typing import Final

TEACHER: Final = "teacher"
CONTROL: Final = "control"
STUDENT: Final = "student"
ROLES = (TEACHER, CONTROL, STUDENT)
