"""The trained networks of a run as torch modules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Literal

from edgekd import files
from edgekd import run
from edgekd.bench.roles import STUDENT
from edgekd.errors import InputError
from edgekd.plan import roles
from edgekd.plan import student
from edgekd.recipe import Recipe
from edgekd.report import result as results
from edgekd.stage import BLUEPRINT
from edgekd.store import Store

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "weights.safetensors"


def load(
    run_dir: str | os.PathLike[str],
    *,
    precision: Literal["fp32", "int8"] = "fp32",
    store: str | os.PathLike[str] | None = None,
    allow_code: bool = False,
) -> nn.Module:
    """The student of a finished run as a torch module in evaluation mode, on the CPU.

    Its inputs are prepared as the run's data say: of images float32 [B, C, H, W], normalized.

    Args:
        run_dir: the folder of a run.
        precision: ``fp32`` is the float student, ``int8`` the quantized one, which computes in float what
            the engines compute in int8.
        store: where the results of the run lie; ``$EDGEKD_HOME``, else the user's cache folder, if left out.
        allow_code: whether a ``python:`` model may run.

    Raises:
        InputError: if it is no finished run, or has no such student, or its store lacks it.
        MachineError: if a package is missing that builds the model.

    >>> import edgekd
    >>> student = edgekd.load("runs/quickstart")
    >>> student(images).argmax(1)
    """
    from edgekd.learn import blueprint

    folder = Path(run_dir)
    found = results.read(folder)
    label = _find_label(found, precision, folder)
    root = run.default_store() if store is None else Path(store)
    paths = [_stored_file(found, label, name, root, folder) for name in (BLUEPRINT, WEIGHTS)]
    return blueprint.load(paths[0], paths[1], allow_code=allow_code)


def _find_label(found: results.Result, precision: str, folder: Path) -> str:
    """The step that made the student of a precision."""
    if precision == "fp32":
        return roles.role_labels(Recipe.model_validate(found.resolved_recipe))[STUDENT]
    if precision != "int8":
        raise InputError(f"precision: got {precision!r}, want 'fp32' or 'int8'")
    labels = [student.quantize_labels()[numerics] for numerics in found.quantized]
    if not labels:
        raise InputError(f"{folder}: got a run without a quantized student, want one for int8")
    return labels[0]


def _stored_file(found: results.Result, label: str, name: str, root: Path, folder: Path) -> Path:
    step = found.lineage.get(label)
    if step is None or name not in step.files:
        raise InputError(f"{folder}: got a run without {label}/{name}, want a trained student")
    path = Store(root).blob_path(step.files[name])
    if not path.is_file() or files.digest_file(path) != step.files[name]:
        raise InputError(
            f"{folder}: its student is not in the store {root}",
            hint="give the run's store, or run its recipe again",
        )
    return path
