"""Classes of pixels that a model answers, written as grey PNG files in which the grey is the number of the class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import files
from edgekd.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.bundle.predict import Prediction

MOST_CLASSES = 256


def list_goals(names: Sequence[str], folder: Path, *, replace: bool = False) -> list[Path]:
    """A file in `folder` for each input, called as that is.

    Raises:
        InputError: if one is there already and may not be replaced, or two would be called alike.
    """
    goals = [folder / f"{_find_stem(name)}.png" for name in names]
    for number, goal in enumerate(goals):
        if not replace and (goal.exists() or goal.is_symlink()):
            hint = "--masks OTHER, or --replace"
            raise InputError(f"{goal}: exists already, want a new file", hint=hint)
        if goal in goals[:number]:
            raise InputError(f"--masks: got two inputs called {goal.stem!r}, want one of a name")
    return goals


def write_masks(told: Sequence[Prediction], folder: Path, *, replace: bool = False) -> list[Path]:
    """Write the map of each answer, in the size that the model gives.

    Returns:
        The files, in the answers' order.

    Raises:
        InputError: if an answer has no map of at most `MOST_CLASSES` classes, or a file is there already that may
            not be replaced.
        MachineError: if it cannot be written.
    """
    from edgekd.bench.explanation.png import encode_png

    goals = list_goals([one.name for one in told], folder, replace=replace)
    pictures = [encode_png(mask[:, :, None], max(mask.shape)) for mask in map(_find_map, told)]
    files.make_folder(folder)
    for goal, picture in zip(goals, pictures, strict=True):
        files.write_output(goal, picture)
    return goals


def _find_map(one: Prediction) -> NDArray[Any]:
    """uint8 [H, W]."""
    maps = [each for each in one.decisions.values() if each.ndim == 2 and each.dtype.kind in "iu"]
    if len(maps) != 1:
        raise InputError("--masks: got answers that are no classes of pixels, want them left out")
    if maps[0].min() < 0 or maps[0].max() >= MOST_CLASSES:
        raise InputError(f"--masks: got class {maps[0].max()}, want 0 to {MOST_CLASSES - 1}")
    return maps[0].astype("uint8")


def _find_stem(name: str) -> str:
    """``a`` of ``photos/a.png``, ``a-3`` of ``a.npy[3]``."""
    file, _, number = Path(name).name.removesuffix("]").partition("[")
    stem = re.sub(r"[^\w.-]+", "-", Path(file).stem).strip("-.") or "mask"
    return f"{stem}-{number}" if number else stem
