"""What flows through an imported graph: tensors, and as numpy arrays what is known before anything runs.

Sizes are known in that sense, free ones too: as torch's symbols in arrays of objects. So shapes are reckoned by
Python, and none of that is in the traced graph.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple
from typing import TypeAlias
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Value: TypeAlias = Tensor | NDArray[Any]
Outputs: TypeAlias = Value | tuple[Value, ...]

DTYPES = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    11: torch.float64,
}
"""By TensorProto.DataType."""


class Attributes(NamedTuple):
    """What a node says beside its inputs."""

    words: Mapping[str, Any]
    opset: int

    def whole(self, name: str, usual: int = 0) -> int:
        """An integer."""
        return int(self.words.get(name, usual))

    def real(self, name: str, usual: float) -> float:
        """A number."""
        return float(self.words.get(name, usual))

    def text(self, name: str, usual: str = "") -> str:
        """A text."""
        return str(self.words.get(name, usual))

    def wholes(self, name: str) -> list[int] | None:
        """A list of integers; None if the node has none."""
        listed = self.words.get(name)
        return None if listed is None else [int(each) for each in listed]


Operator = Callable[..., Outputs]
"""``operator(attributes, *inputs)``; an input that is left out is None."""


def as_tensor(value: Value) -> Tensor:
    """A tensor of a value."""
    if isinstance(value, Tensor):
        return value
    if value.dtype != object:
        return torch.from_numpy(np.ascontiguousarray(value)).reshape(value.shape)
    parts = [torch.full((), each, dtype=torch.int64) for each in value.ravel().tolist()]
    return torch.stack(parts).reshape(value.shape) if parts else torch.zeros(value.shape).long()


def as_sizes(value: Value | None) -> list[int]:
    """The numbers of a value that is known before anything runs.

    Raises:
        ValueError: if it depends on what the model is given.
    """
    if value is None:
        return []
    if isinstance(value, Tensor):
        raise ValueError("takes sizes that depend on its inputs' values, which no traced graph has")
    return [_as_int(each) for each in value.ravel().tolist()]


def as_number(value: Value | None, usual: float) -> float:
    """The number in a value of one element; `usual` where there is none."""
    if value is None:
        return usual
    if isinstance(value, Tensor):
        raise ValueError("takes a number that depends on its inputs' values")
    return cast(float, value.ravel().tolist()[0])


def of_sizes(sizes: Sequence[int]) -> NDArray[Any]:
    """An array of sizes, of which some may be torch's symbols."""
    if all(isinstance(each, int) for each in sizes):
        return np.array(sizes, np.int64)
    found = np.empty(len(sizes), object)
    found[:] = list(sizes)
    return found


def operand(value: Value, other: Value) -> Any:
    """A value beside `other`: a plain number where it is a single one that is known, else a tensor."""
    if isinstance(value, Tensor):
        return value
    if value.size == 1 and isinstance(other, Tensor) and value.ndim <= other.dim():
        return value.ravel().tolist()[0]
    return as_tensor(value)


def are_known(*given: Value | None) -> bool:
    """Return whether all of them are known before anything runs."""
    return not any(isinstance(value, Tensor) for value in given)


def axes_of(attributes: Attributes, given: Value | None) -> list[int] | None:
    """The axes that newer operator sets take as an input and older ones as an attribute."""
    return attributes.wholes("axes") if given is None else as_sizes(given)


def _as_int(number: Any) -> Any:
    return int(number) if isinstance(number, bool | float) else number
