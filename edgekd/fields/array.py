"""Numbers of any fixed shape, as a model takes or gives them."""

from __future__ import annotations

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
from edgekd.field import require_whole
from edgekd.interface import BATCH
from edgekd.interface import MOST
from edgekd.interface import MOST_AXES
from edgekd.interface import MOST_VALUES
from edgekd.interface import Tensor
from edgekd.strict_json import decode_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

KINDS = ("float32", "int64", "int32", "uint8", "bool")
_MOST = 1e30
_CHUNK = 256
_ROUNDING = 1e-3
"""How far a row of probabilities may be from adding up to 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Array(Field):
    """[N, ...] of one type, of which a model takes or gives each row as it is."""

    kind: ClassVar[str] = "array"
    dtype: str
    """numpy's name."""
    shape: tuple[int, ...]
    """Of one sample."""
    spread: float = 0.0
    """How far samples of the training split lie from their mean: the root of the mean square; 0 if all are alike or
    they are no floats."""
    size: float = 0.0
    """How large samples of the training split are: the root of the mean square, for probabilities of classes that of a
    certain answer; 0 of no floats, or where that is not known."""
    below: int = 0
    """One above the largest whole number; 0 for floats."""
    class_axis: int = 0
    """The axis, from 1, along which rows are probabilities: not negative, and adding up to 1; 0 if there is none."""

    def __post_init__(self) -> None:
        require(
            self.dtype in KINDS, f"dtype {str(self.dtype)[:20]!r}, want one of: {', '.join(KINDS)}"
        )
        plain = isinstance(self.shape, tuple) and len(self.shape) < MOST_AXES
        require(plain, f"shape {str(self.shape)[:60]}, want at most {MOST_AXES - 1} sizes")
        for size in self.shape:
            require_whole("shape", size, 1, MOST)
        require(math.prod(self.shape) <= MOST_VALUES, f"{math.prod(self.shape)} values a sample")
        for name, number in (("spread", self.spread), ("size", self.size)):
            holds = type(number) in (int, float) and 0 <= number <= _MOST
            require(holds, f"{name} {str(number)[:20]}, want 0 to {_MOST:g}")
        require_whole("below", self.below, 0, MOST)
        require_whole("class_axis", self.class_axis, 0, len(self.shape))

    @classmethod
    def describe(cls, rows: Rows, order: NDArray[np.int64], **said: Any) -> Self:
        """Type and sizes are those of the rows, the rest is reckoned over ``rows[order]``."""
        if not isinstance(rows, np.ndarray) or str(rows.dtype) not in KINDS:
            raise ValueError(f"got {form_text(rows)}, want one of: {', '.join(KINDS)}")
        facts: dict[str, Any] = {"dtype": str(rows.dtype), "shape": tuple(rows.shape[1:])}
        if rows.dtype == np.float32:
            facts["spread"] = find_spread(rows, order)
            facts["class_axis"] = find_class_axis(rows, order)
            classes = rows.shape[facts["class_axis"]] if facts["class_axis"] else 0
            facts["size"] = classes**-0.5 if classes else find_size(rows, order)
        elif rows.dtype.kind in "iu":
            facts["below"] = max(0, int(rows.max(initial=0)) + 1)
        return cls(**{**facts, **said})

    def check(self, rows: Rows, where: str) -> None:
        """Refuse other types and sizes, and what is no finite number."""
        want = f"{self.dtype} [N{''.join(f', {size}' for size in self.shape)}]"
        plain = isinstance(rows, np.ndarray) and str(rows.dtype) == self.dtype
        array = np.asarray(rows) if plain else np.empty(0)
        if not plain or array.shape[1:] != self.shape or not len(array):
            raise InputError(f"{where}: got {form_text(rows)}, want {want}")
        for start in range(0, len(rows), _CHUNK):
            if not np.isfinite(array[start : start + _CHUNK]).all():
                raise InputError(f"{where}: got numbers that are not finite")

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """[batch, ...] as it is; whole numbers are those of a vocabulary."""
        whole = self.dtype in ("int64", "int32")
        plain = Tensor(name, self.dtype, (BATCH, *self.shape))
        return (plain._replace(kind="index", below=self.below) if whole else plain,)

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """The rows themselves."""
        return {name: np.ascontiguousarray(np.asarray(rows))}

    def read(self, data: bytes) -> Rows:
        """A ``.npy`` file of one sample, or of several; or one as JSON. A first axis of 1 may be left out of several."""
        try:
            is_npy = data.startswith(b"\x93NUMPY")
            found = np.load(io.BytesIO(data), allow_pickle=False) if is_npy else decode_json(data)
            rows = np.asarray(found, self.dtype)
        except (ValueError, TypeError, OSError, EOFError, InputError) as error:
            raise InputError(f"got {data[:20]!r}, want .npy or JSON of {self.dtype}") from error
        if rows.ndim == len(self.shape):
            lacks_axis = self.shape[:1] == (1,) and rows.shape[1:] == self.shape[1:]
            rows = rows[:, None] if lacks_axis else rows[None]
        self.check(rows, "input")
        return rows


def find_spread(rows: NDArray[Any], order: NDArray[np.int64]) -> float:
    """The root of the mean square of how far ``rows[order]`` lie from their mean; of a single row from 0."""
    chosen = np.asarray(rows[order], np.float64)
    usual = chosen.mean(axis=0) if len(chosen) > 1 else 0.0
    return float(np.sqrt(((chosen - usual) ** 2).mean())) if chosen.size else 0.0


def find_size(rows: NDArray[Any], order: NDArray[np.int64]) -> float:
    """The root of the mean square of ``rows[order]``."""
    chosen = np.asarray(rows[order], np.float64)
    return float(np.sqrt((chosen**2).mean())) if chosen.size else 0.0


def find_class_axis(rows: NDArray[Any], order: NDArray[np.int64]) -> int:
    """The axis along which ``rows[order]`` are probabilities of two classes or more; 0 if there is none."""
    chosen = np.asarray(rows[order[:_CHUNK]], np.float64)
    if chosen.size and chosen.min() >= 0:
        for axis in (chosen.ndim - 1, 1):
            if axis > 0 and chosen.shape[axis] > 1:
                sums = chosen.sum(axis=axis)
                if np.abs(sums - 1).max() < _ROUNDING:
                    return axis
    return 0
