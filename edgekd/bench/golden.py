"""Golden inputs and the answers they must get, by name, as the export wrote them.

A safetensors file of ``<group>/inputs/<name>``, ``<group>/outputs/<name>`` and, of fields whose stored rows are kept,
``<group>/rows/<field>``. A group is a batch of one shape. An older file holds ``inputs``, ``outputs`` and perhaps
``pixels``: it is read as the group ``usual`` whose ends have no names (`UNNAMED`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd import splits
from edgekd.errors import InputError
from edgekd.interface import DTYPES
from edgekd.interface import MOST_ENDS
from edgekd.interface import NAME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Arrays
    from edgekd.field import Rows
    from edgekd.interface import Interface

LEAST, USUAL, LONGEST = GROUPS = ("least", "usual", "longest")
"""Sizes of the free axes that a group has; a model without any has `USUAL` alone."""
UPTO = re.compile(r"upto-([1-9][0-9]{0,8})")
"""Of further groups, whose samples are the longest that are no longer than so much along an axis that a recipe names."""
MOST_GROUPS, MOST_VALUES = 32, 2**23
"""In a file; values of a group's outputs: 32 MiB in float32, such as one text of 128 tokens and a vocabulary of 49,152."""
SIDES = ("inputs", "outputs", "rows")
UNNAMED = ""
"""The only input, the first output, or the only field of a file of the older form."""
_OLDER = {
    "inputs": f"{USUAL}/inputs/",
    "outputs": f"{USUAL}/outputs/",
    "pixels": f"{USUAL}/rows/",
}


class GoldenGroup(NamedTuple):
    """Distinct samples of one shape and the trained model's own answers."""

    inputs: Arrays
    """Prepared, [N, ...] each."""
    outputs: Arrays
    """[N, ...] each."""
    rows: Mapping[str, Rows] = {}
    """By field, the stored rows [M, ...] of which the first M samples were made."""

    @property
    def sample_count(self) -> int:
        """How many samples."""
        return len(next(iter(self.inputs.values())))


Golden = Mapping[str, GoldenGroup]
"""Groups by their names, `USUAL` among them."""


def limit_samples(interface: Interface, count: int) -> int:
    """How many samples of a group there are at most, of `count` that are asked for: fewer of very large outputs."""
    values = sum(math.prod(interface.shape(end, 1)) for end in interface.outputs)
    return max(1, min(count, MOST_VALUES // max(1, values)))


def read(path: Path) -> dict[str, GoldenGroup]:
    """The golden samples of a safetensors file, in which a stranger may have written, too.

    Raises:
        InputError: if it is no such file, or its arrays do not fit one another.
    """
    from safetensors.numpy import load

    with files.open_regular(path) as file:
        data = file.read()
    try:
        tensors = load(data)
    except Exception as error:  # its parser and numpy's share no base
        raise InputError(f"{path}: got {error}, want safetensors of golden samples") from error
    try:
        if USUAL not in {name.partition("/")[0] for name in tensors}:
            tensors = {_OLDER.get(name, name): array for name, array in tensors.items()}
        groups = _group(tensors)
        for name, group in groups.items():
            _require_sound(name, group)
        _require_alike(groups)
    except ValueError as error:
        raise InputError(f"{path}: got {error}") from error
    return groups


def write(path: Path, groups: Golden) -> None:
    """The same groups give the same bytes; a stage's scratch, not kept by itself."""
    import numpy as np
    from safetensors.numpy import save_file

    tensors = {}
    for name, group in groups.items():
        sides: tuple[Mapping[str, Any], ...] = (*group[:2], splits.separate_offsets(group.rows))
        for side, arrays in zip(SIDES, sides, strict=True):
            for end, array in arrays.items():
                tensors[f"{name}/{side}/{end}"] = np.ascontiguousarray(array)
    save_file(tensors, path)


def match_outputs(answered: Arrays, group: GoldenGroup) -> dict[str, NDArray[Any]]:
    """An engine's outputs by the names of the golden ones; where there is one, the engine's only or first output.

    Raises:
        ValueError: if an output is missing, or of another shape.
    """
    names = list(group.outputs)
    if len(names) == 1 and names[0] not in answered and (names[0] == UNNAMED or len(answered) == 1):
        answered = {names[0]: next(iter(answered.values()))}
    for name, want in group.outputs.items():
        if name not in answered:
            raise ValueError(f"no output {name}, but {', '.join(answered)}")
        if answered[name].shape != want.shape:
            raise ValueError(f"{_output(name)} {answered[name].shape}, want {want.shape}")
    return {name: answered[name] for name in names}


def _output(name: str) -> str:
    return name or "output"


def _group(tensors: Arrays) -> dict[str, GoldenGroup]:
    if len(tensors) > 2 * MOST_GROUPS * MOST_ENDS:
        raise ValueError(f"{len(tensors)} arrays, want fewer")
    by_group: dict[str, dict[str, dict[str, NDArray[Any]]]] = {}
    for name, array in tensors.items():
        group, _, rest = name.partition("/")
        side, _, end = rest.partition("/")
        known = (group in GROUPS or UPTO.fullmatch(group)) and side in SIDES
        if not known or not (NAME.fullmatch(end) or end == UNNAMED):
            raise ValueError(
                f"an array {name[:100]!r}, want GROUP/inputs/NAME or GROUP/outputs/NAME"
            )
        if array.ndim < 1:
            raise ValueError(f"one number in {name}, want rows")
        by_group.setdefault(group, {part: {} for part in SIDES})[side][end] = array
    if USUAL not in by_group:
        raise ValueError("no samples, want `usual/inputs/...` and `usual/outputs/...`")
    return {
        name: GoldenGroup(sides["inputs"], sides["outputs"], splits.join_offsets(sides["rows"]))
        for name, sides in sorted(by_group.items(), key=lambda pair: _place(pair[0]))
    }


def _place(group: str) -> tuple[int, int]:
    """Where a group stands among the others: behind the three, the shorter ones first."""
    found = UPTO.fullmatch(group)
    return (len(GROUPS), int(found[1])) if found else (GROUPS.index(group), 0)


def _require_sound(name: str, group: GoldenGroup) -> None:
    import numpy as np

    for side, ends in (("inputs", group.inputs), ("outputs", group.outputs)):
        if not 0 < len(ends) <= MOST_ENDS or (UNNAMED in ends and len(ends) > 1):
            raise ValueError(f"{len(ends)} {side} in group {name}, want some")
        for end, array in ends.items():
            where = f"{array.dtype} {list(array.shape)} in {name}/{side}/{end}"
            if str(array.dtype) not in DTYPES or not len(array):
                raise ValueError(f"{where}, want rows of {', '.join(DTYPES)}")
            if len(array) != group.sample_count:
                raise ValueError(f"{where}, want {group.sample_count} rows")
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{where} that are not finite")
    for field, rows in group.rows.items():
        if not 0 < len(rows) <= group.sample_count:
            raise ValueError(
                f"{len(rows)} rows in {name}/rows/{field}, want 1 to {group.sample_count}"
            )


def _require_alike(groups: Golden) -> None:
    """Groups differ in the sizes of axes alone."""
    usual = _forms(groups[USUAL])
    for name, group in groups.items():
        if _forms(group) != usual:
            raise ValueError(f"other ends in group {name} than in {USUAL}")


def _forms(group: GoldenGroup) -> list[dict[str, tuple[str, int]]]:
    return [{end: (str(a.dtype), a.ndim) for end, a in ends.items()} for ends in group[:2]]
