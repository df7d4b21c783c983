"""What a field is: one named value of every sample, such as its image or its class.

It says how its rows are stored, what may be in them, and how they become a model's inputs or a task's targets.
`edgekd.fields` holds them. Numpy alone, no pydantic: a board has them.
"""

from __future__ import annotations

import abc
import collections
import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from typing import Self

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.interface import Axis
from edgekd.interface import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]
    """Arrays by name, each [N, ...]."""


MOST_VALUES = 2**21
"""Of one batch of inputs on a CPU: beyond it features leave the caches, and large inputs fill the memory."""


class RaggedRows:
    """Rows of different lengths: their values one after the other, and where each row begins."""

    def __init__(self, values: NDArray[Any], offsets: NDArray[np.int64]) -> None:
        """
        Args:
            values: [sum of lengths, ...].
            offsets: [N + 1], ascending from 0 to ``len(values)``.
        """
        self.values, self.offsets = values, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self.row(number) for number in range(len(self)))

    def row(self, number: int) -> NDArray[Any]:
        """The values of one row."""
        start, stop = self.offsets[number : number + 2].tolist()
        return self.values[start:stop]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[N]."""
        return self.offsets[1:] - self.offsets[:-1]

    def __getitem__(self, numbers: NDArray[Any] | slice) -> RaggedRows:
        """The rows at `numbers`, in that order, copied."""
        chosen = find_row_numbers(len(self), numbers)
        return from_rows([self.row(number) for number in chosen.tolist()], self.values)


def find_row_numbers(count: int, numbers: NDArray[Any] | slice | int) -> NDArray[np.int64]:
    """Return which of `count` rows an index means, each from 0 on; what that takes does not grow with `count`.

    Raises:
        IndexError: if it means a row that is not there.
    """
    import numpy as np

    if isinstance(numbers, slice):
        return np.arange(*numbers.indices(count))
    chosen = np.asarray(numbers)
    if chosen.dtype.kind not in "iu":
        return np.asarray(np.arange(count)[chosen])
    beyond = chosen[(chosen < -count) | (chosen >= count)]
    if beyond.size:
        raise IndexError(f"got row {beyond.flat[0]}, want one of {count}")
    return np.asarray(np.where(chosen < 0, chosen + count, chosen), np.int64)


def sum_lengths(lengths: NDArray[Any]) -> NDArray[np.int64]:
    """Return where each of N rows begins, and where the last ends: [N + 1]."""
    import numpy as np

    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def from_rows(rows: Sequence[NDArray[Any]], like: NDArray[Any]) -> RaggedRows:
    """The rows as `RaggedRows`; of the type and inner shape of `like` where there are none."""
    import numpy as np

    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return RaggedRows(np.concatenate([like[:0], *rows]), offsets)


if TYPE_CHECKING:
    Rows = NDArray[Any] | RaggedRows
    """A field of many samples as it is stored."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field(abc.ABC):
    """One kind of value. What an instance holds is what data.json says of it; building one checks it."""

    kind: ClassVar[str]
    """Its name in `edgekd.fields`."""

    @classmethod
    def describe(cls, rows: Rows, order: NDArray[np.int64], **said: Any) -> Self:
        """The field of a data set.

        Args:
            rows: all rows of the source's training split.
            order: indices of those that are trained on; only they may be counted.
            said: what the source or the recipe says of it, by the names of its parameters.

        Raises:
            ValueError: for rows or words that cannot be.
        """
        return cls(**said)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The field that `to_json` wrote, in which a stranger may have written, too.

        Raises:
            ValueError: names what is wrong in it.
        """
        known = {field.name: field for field in dataclasses.fields(cls)}
        for name in value:
            if name not in known and name != "kind":
                raise ValueError(f"got unknown key {name!r}; {find_nearest(name, known)}")
        given = {name: _tuples(value[name]) for name in known if name in value}
        try:
            return cls(**given)
        except TypeError as error:
            raise ValueError(str(error).replace(f"{cls.__name__}.__init__() ", "")) from error

    def to_json(self) -> dict[str, Any]:
        """Its kind and what it holds, in JSON's types."""
        return {"kind": self.kind, **dataclasses.asdict(self)}

    @abc.abstractmethod
    def check(self, rows: Rows, where: str) -> None:
        """Refuse rows that are not what this field says.

        Args:
            rows: of one split.
            where: how to call them in a message.

        Raises:
            InputError: naming the first that is wrong.
        """

    def find_known(self, rows: Rows) -> NDArray[np.bool_] | None:
        """Which training samples have a value, bool [N]; None where all have one, unless overridden."""
        return None

    def sizes(self) -> dict[str, int]:
        """Return what a builder may ask for by name: ``height``, ``vocabulary``, ``classes``."""
        return {}

    def target_sizes(self) -> dict[str, int]:
        """Return what outputs and a builder may ask for by name where it is a target: as `sizes` unless overridden."""
        return self.sizes()

    def axes(self, name: str) -> tuple[Axis, ...]:
        """The free axes of its tensors, without that of the samples."""
        return ()

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """Return what a model takes of it; the first bears its name.

        Raises:
            ValueError: if no model takes such a field.
        """
        raise ValueError(f"{name}: got a field of kind {self.kind!r}, which no model takes")

    @abc.abstractmethod
    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """Stored rows as named arrays: inputs by the names of `tensors`, a target by its own.

        Raises:
            ValueError: if the rows are of another form.
        """

    def with_files(self, files: Mapping[str, bytes]) -> Self:
        """The same with what it needs of the files beside data.json; itself unless overridden.

        Raises:
            ValueError: if one is another than that of the data.
        """
        return self

    def image_size(self) -> tuple[int, int] | None:
        """Height and width that an image it belongs to has; None where any will do."""
        return None

    def read(self, data: bytes) -> Rows:
        """The rows [N, ...] that a user's file or typed text holds.

        Raises:
            InputError: if it holds none that `check` accepts, or such a field cannot be read.
        """
        got = "a file or text"
        raise InputError(f"got {got}, which a field of kind {self.kind!r} is not read from")

    def list_unread(self, data: bytes) -> tuple[str, ...]:
        """Names of what `read` passes over in a user's file or text; none unless a field says some."""
        return ()

    def describe_cut(self, data: bytes) -> str:
        """How much of a user's file or text `read` takes, where it cuts the rest off; empty where it takes all."""
        return ""

    def find_end(self) -> int | None:
        """The token behind which a text ends; None where there is none, or it is not known."""
        return None

    def find_answer_end(self) -> int | None:
        """The same of an answer to a prompt; None of what is no conversation."""
        return None

    def alternatives(self) -> dict[str, Self]:
        """Fields of the same rows with other usual preprocessing, each with a sentence: what loaded weights may want."""
        return {}

    def mix(
        self, name: str, rows: Rows, others: Rows, share: NDArray[np.float32]
    ) -> dict[str, NDArray[Any]]:
        """A target of samples that views mix: `share` [N, 1] of `rows` and the rest of `others`.

        Raises:
            ValueError: if such a field cannot be mixed.
        """
        got = f"views that mix samples, which {self.kind!r} targets cannot be"
        raise ValueError(f"{name}: got {got}")

    def count_compared(self, rows: Rows) -> NDArray[np.int64] | None:
        """How many places of each sample [N] every view compares answers with; None, unless overridden, where all may count."""
        return None

    def compared_share(self) -> float:
        """The share of them of all places; 1 unless overridden."""
        return 1.0

    def preview(self, rows: Rows) -> str | NDArray[Any] | None:
        """Return what a person sees of one sample [1, ...]: text, or pixels uint8 [H, W, 1 or 3]; None if nothing."""
        return None

    def strata(self, rows: Rows) -> NDArray[np.int64] | None:
        """A number a row, such as its class: splits hold the same share of each. None if there is none."""
        return None


def require(holds: bool, wrong: str) -> None:
    """Raises ValueError unless a condition holds."""
    if not holds:
        raise ValueError(f"got {wrong}")


def require_whole(name: str, value: Any, least: int, most: int) -> None:
    """Raises ValueError unless `value` is a whole number from `least` to `most`."""
    holds = type(value) is int and least <= value <= most
    require(holds, f"{name} {str(value)[:20]}, want a whole number from {least} to {most}")


def require_names(names: tuple[str, ...], least: int = 2, what: str = "class") -> None:
    """Raises ValueError for what cannot be `least` names of classes, or of `what`: too few, one no text, or one twice."""
    plain = isinstance(names, tuple) and all(isinstance(name, str) for name in names)
    require(plain, f"{type(names).__name__} as names, want a list of text")
    require(len(names) >= least, f"{len(names)} {what} name(s), want at least {least}")
    for name in names:
        if not name.isprintable() or not name.strip():
            want = "want text in UTF-8 without control characters"
            raise ValueError(f"got the name {name!r}, {want}")
    if len(set(names)) < len(names):
        twice = min(name for name, count in collections.Counter(names).items() if count > 1)
        raise ValueError(f"got the {what} name {twice!r} twice, want each once")


def form_text(rows: Rows) -> str:
    """``uint8 [60, 8, 8, 1]``, for messages."""
    if isinstance(rows, RaggedRows):
        return f"ragged {rows.values.dtype} [{len(rows)}, *]"
    return f"{rows.dtype} {list(rows.shape)}"


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
