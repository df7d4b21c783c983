"""What a teacher knows as a function of a batch: asked anew, read from a folder or an array, or of several at once.

>>> from edgekd import knowledge
>>> both = knowledge.combine_teachers([knowledge.run_teacher(one, None), knowledge.run_teacher(other, None)])
"""

from __future__ import annotations

from edgekd.learn.method.teacher import combine_teachers
from edgekd.learn.method.teacher import read_folder
from edgekd.learn.method.teacher import read_teacher
from edgekd.learn.method.teacher import run_teacher

__all__ = ["combine_teachers", "read_folder", "read_teacher", "run_teacher"]
