"""The student of a run as a torch module."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Literal

from edgekd.bench.roles import STUDENT
from edgekd.errors import InputError
from edgekd.plan.deliverables import QUANTIZED
from edgekd.report.result import FILE

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = ".safetensors"
NAMES = {"fp32": STUDENT, "int8": QUANTIZED}
"""Precision to the files of a run folder: weights and the network they belong to."""


def load(
    run_dir: str | os.PathLike[str],
    *,
    precision: Literal["fp32", "int8"] = "fp32",
    allow_code: bool = False,
) -> nn.Module:
    """The student of a finished run as a torch module in evaluation mode, on the CPU.

    Its inputs are prepared as the run's data say: of images float32 [B, C, H, W], normalized.

    Args:
        run_dir: the folder of a run, the bundle in it, or weights that ``edgekd export --to torch`` wrote, with their
            network beside them.
        precision: ``fp32`` is the float student; ``int8`` the quantized one, if the run chose one: it computes in float
            what the engine computes in int8.
        allow_code: whether a ``python:`` model may run.

    Raises:
        InputError: if it is no finished run, or it chose no quantized student.
        MachineError: if a package is missing that builds the model.

    >>> import edgekd
    >>> student = edgekd.load("runs/quickstart")
    >>> student(images).argmax(1)
    """
    folder = Path(run_dir)
    if precision not in NAMES:
        raise InputError(f"precision: got {precision!r}, want 'fp32' or 'int8'")
    if not (folder / FILE).is_file() and (folder.parent / FILE).is_file():
        folder = folder.parent
    is_exported = folder.suffix == WEIGHTS
    stem = folder.with_suffix("") if is_exported else folder / NAMES[precision]
    blueprint_path, weights_path = (Path(f"{stem}{end}") for end in (".json", WEIGHTS))
    if not blueprint_path.is_file() or not weights_path.is_file():
        if is_exported:
            raise InputError(f"{folder}: want that file and {blueprint_path.name} beside it")
        why = "a run that chose a quantized student" if precision == "int8" else "a finished run"
        raise InputError(f"{folder}: got no {blueprint_path.name}, want the folder of {why}")
    from edgekd.learn import blueprint

    return blueprint.load(blueprint_path, weights_path, allow_code=allow_code)
