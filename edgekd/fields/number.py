"""Numbers, one or a row of them a sample: measurements as an input, a quantity as a target."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from typing import Self

import numpy as np

from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import form_text
from edgekd.field import require
from edgekd.field import require_names
from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.strict_json import decode_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgekd.field import Rows

MOST_COLUMNS, MOST_UNIT, MOST_SHOWN = 2**16, 40, 12
DELIMITERS = ",\t;|"
_MOST, _LEAST_STD = 1e30, 1e-30
_CHUNK = 2**14


@dataclasses.dataclass(frozen=True, kw_only=True)
class Number(Field):
    """float32 [N, K], or [N] for one column. A model takes and gives ``(number - mean) / std`` [N, K]: a target in any
    unit is learned alike. With mean 0 and std 1, which a source may say, it gives the numbers themselves."""

    kind: ClassVar[str] = "number"
    columns: tuple[str, ...]
    """Names of the K columns."""
    mean: tuple[float, ...]
    """Per column, over the training split."""
    std: tuple[float, ...]
    """Per column, over the training split; 1 for a column that never changes."""
    unit: str = ""
    """What the numbers count, such as ``m/s``; empty if nothing."""

    def __post_init__(self) -> None:
        require_names(self.columns, 1, "column")
        require(len(self.columns) <= MOST_COLUMNS, f"{len(self.columns)} columns")
        for name, least in (("mean", -_MOST), ("std", _LEAST_STD)):
            values = getattr(self, name)
            count = len(values) if isinstance(values, tuple) else type(values).__name__
            want = len(self.columns)
            require(count == want, f"{count} values in {name}, want {want}, one for each column")
            for value in values:
                holds = type(value) in (int, float) and least <= value <= _MOST
                require(holds, f"{name} {str(value)[:20]}, want {least:g} to {_MOST:g}")
        plain = isinstance(self.unit, str) and (not self.unit or self.unit.isprintable())
        require(plain and len(self.unit) <= MOST_UNIT, f"unit {str(self.unit)[:60]!r}")

    @classmethod
    def describe(
        cls,
        rows: Rows,
        order: NDArray[np.int64],
        columns: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        **said: Any,
    ) -> Self:
        """Mean and std are those of ``rows[order]`` where nobody says others; columns that nobody names are
        ``column 1``, ``column 2``."""
        if not isinstance(rows, np.ndarray) or rows.ndim not in (1, 2):
            raise ValueError(f"got {form_text(rows)}, want float32 [N, K] or [N]")
        width = 1 if rows.ndim == 1 else rows.shape[1]
        names = tuple(columns or [f"column {number + 1}" for number in range(width)])
        plain = cls(columns=names, mean=(0.0,) * len(names), std=(1.0,) * len(names))
        plain.check(rows, "train split")
        own_mean, own_std = mean_and_std(rows, order)
        return cls(columns=names, mean=tuple(mean or own_mean), std=tuple(std or own_std), **said)

    def check(self, rows: Rows, where: str) -> None:
        """Refuse other widths and what is no finite number."""
        width = len(self.columns)
        try:
            matrix = self._matrix(rows)
        except ValueError as error:
            raise InputError(f"{where}: {error}") from error
        if matrix.dtype != np.float32 or not len(matrix):
            raise InputError(f"{where}: got {form_text(rows)}, want float32 [N, {width}]")
        for start in range(0, len(matrix), _CHUNK):
            part = matrix[start : start + _CHUNK]
            if not np.isfinite(part).all():
                row, column = (int(at[0]) for at in np.nonzero(~np.isfinite(part)))
                value, name = part[row, column], self.columns[column]
                raise InputError(
                    f"{where}: got {value} in row {start + row}, {name}, want a finite number"
                )

    def sizes(self) -> dict[str, int]:
        """``columns``."""
        return {"columns": len(self.columns)}

    def target_sizes(self) -> dict[str, int]:
        """``numbers``: what a model has to give is not called as what it takes."""
        return {"numbers": len(self.columns)}

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """float32 [batch, K]."""
        return (Tensor(name, "float32", (BATCH, len(self.columns))),)

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """float32 [N, K], standardized; reckoned in float64."""
        values = self._matrix(rows).astype(np.float64)
        return {name: ((values - self.mean) / self.std).astype(np.float32)}

    def mix(
        self, name: str, rows: Rows, others: Rows, share: NDArray[Any]
    ) -> dict[str, NDArray[Any]]:
        """A target between two: `share` [N, 1] of `rows` and the rest of `others`."""
        part = share.reshape(-1, 1).astype(np.float32)
        mixed = self.prepare(name, rows)[name] * part + self.prepare(name, others)[name] * (
            1 - part
        )
        return {name: mixed}

    def preview(self, rows: Rows) -> str:
        """The first numbers."""
        return ", ".join(f"{value:.4g}" for value in np.asarray(rows)[0].ravel()[:MOST_SHOWN])

    def _matrix(self, rows: Rows) -> NDArray[Any]:
        width = len(self.columns)
        if isinstance(rows, np.ndarray):
            if rows.shape[1:] == (width,):
                return rows
            if width == 1 and rows.ndim == 1:
                return rows[:, None]
        raise ValueError(f"got {form_text(rows)}, want float32 [N, {width}]")

    def read(self, data: bytes) -> Rows:
        """JSON (a number, a list, a list of lists, a mapping by column or a list of such) or CSV, with or without
        the columns' names in its first line."""
        start = data.lstrip()[:1]
        listed = decode_json(data) if start in (b"[", b"{") else _decode_csv(data, self.columns)
        rows = [self._row(row) for row in _as_rows(listed)]
        if not rows:
            raise InputError(f"got no numbers, want {len(self.columns)} a row")
        found = np.array(rows, np.float64)
        with np.errstate(over="ignore"):
            found32 = found.astype(np.float32)
        self.check(found32, "input")
        return found32

    def list_unread(self, data: bytes) -> tuple[str, ...]:
        """Columns that `read` passes over: those under a name that is none of the field's."""
        start = data.lstrip()[:1]
        if start in (b"[", b"{"):
            names = [
                name for row in _as_rows(decode_json(data)) if isinstance(row, dict) for name in row
            ]
        else:
            _, first = next(_read_lines(data), (0, []))
            names = (
                [cell.strip() for cell in first]
                if {*map(str.strip, first)} & {*self.columns}
                else []
            )
        return tuple(name for name in dict.fromkeys(names) if name not in self.columns)

    def _row(self, row: Any) -> list[float]:
        """One row of what a user wrote, in the columns' order."""
        if isinstance(row, dict):
            if not set(self.columns) <= set(row):
                got, want = ", ".join(row)[:80] or "none", ", ".join(self.columns)[:80]
                raise InputError(f"got the columns {got}, want {want}")
            row = [row[name] for name in self.columns]
        if not isinstance(row, list) or len(row) != len(self.columns):
            count = len(row) if isinstance(row, list) else 1
            raise InputError(f"got a row of {count} numbers, want {len(self.columns)}")
        for value in row:
            if type(value) not in (int, float) or not abs(value) <= _MOST:
                raise InputError(f"got {str(value)[:20]!r}, want a finite number")
        return [float(value) for value in row]


def mean_and_std(
    rows: NDArray[Any], order: NDArray[np.int64]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per column over ``rows[order]``; summed exactly, so the result does not depend on the order or on the machine.

    Args:
        rows: float [N, K] or [N].
        order: indices [n], n > 0.
    """
    chosen = np.asarray(rows[order], np.float64).reshape(len(order), -1)
    means = [math.fsum(column.tolist()) / len(order) for column in chosen.T]
    parts = [(column - mean) ** 2 for column, mean in zip(chosen.T, means, strict=True)]
    stds = [math.sqrt(math.fsum(part.tolist()) / len(order)) for part in parts]
    return tuple(means), tuple(std if std >= _LEAST_STD else 1.0 for std in stds)


def _as_rows(listed: Any) -> list[Any]:
    """What JSON or CSV holds as a list of rows, one where it is a single one."""
    many = listed if isinstance(listed, list) else [listed]
    return [many] if many and not isinstance(many[0], list | dict) else many


def _read_lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """The cells of a delimited text's lines that are not empty, each with its number."""
    try:
        text = data.decode("utf-8-sig")
        delimiter = max(DELIMITERS, key=text.lstrip().partition("\n")[0].count)
        reader = csv.reader(io.StringIO(text), delimiter=delimiter)
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except (ValueError, csv.Error) as error:
        raise InputError(f"got {data[:40]!r}, want numbers as JSON or CSV: {error}") from error


def _decode_csv(data: bytes, columns: tuple[str, ...]) -> list[Any]:
    """Rows of numbers; rows by column where the first line names columns, of which those of other names are left out."""
    lines = list(_read_lines(data))
    names = [cell.strip() for cell in lines[0][1]] if lines else []
    headed = set(names) & set(columns) != set()
    rows: list[Any] = []
    for number, cells in lines[headed:]:
        where = f"line {number}: " if len(lines) > 1 else ""
        if headed and len(cells) != len(names):
            raise InputError(f"{where}got a row of {len(cells)} numbers under {len(names)} names")
        if not headed:
            rows.append([_number(cell, where) for cell in cells])
            continue
        wanted = [(n, cell) for n, cell in zip(names, cells, strict=True) if n in columns]
        rows.append({name: _number(cell, f"{where}{name}: ") for name, cell in wanted})
    return rows


def _number(cell: str, where: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(f"{where}got {cell[:20]!r}, want a number") from error
