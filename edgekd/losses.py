"""The losses as functions, by their names in ``edgekd methods``: `-` is `_`.

>>> from edgekd import losses
>>> losses.kd(student_logits, teacher_logits, temperature=4.0)

Each takes tensors by position and its knobs by keyword, and gives a scalar [] whose gradient flows to the student. What
a loss trains beside the student (a projector of ``fitnet``) is built by `edgekd.Distiller`, not here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgekd.attributes import load_function
from edgekd.learn.losses import LOSSES

if TYPE_CHECKING:
    from torch import Tensor


def __getattr__(name: str) -> Callable[..., Tensor]:
    return load_function(LOSSES, name, __name__)


def __dir__() -> list[str]:
    return sorted(name.replace("-", "_") for name in LOSSES)
