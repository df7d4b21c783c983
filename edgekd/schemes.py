"""The schemes as functions, by their names in ``edgekd methods``: `-` is `_`.

>>> from edgekd import knowledge, schemes
>>> scheme = schemes.offline(knowledge.run_teacher(teacher, None))
>>> distiller = edgekd.Distiller(student, None, example=batch, losses=["kd"], scheme=scheme)

Each takes who takes part by position and its knobs by keyword, and gives a scheme: what runs the student and its
teachers on a batch, and names what came out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgekd.attributes import load_function
from edgekd.learn.schemes import SCHEMES

if TYPE_CHECKING:
    from edgekd.learn.method.scheme import Scheme


def __getattr__(name: str) -> Callable[..., Scheme]:
    return load_function(SCHEMES, name, __name__)


def __dir__() -> list[str]:
    return sorted(name.replace("-", "_") for name in SCHEMES)
