"""Two texts that are told of together, such as a premise and what may follow from it, as one row of tokens."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import form_text
from edgekd.field import require_whole
from edgekd.fields.tokens import Tokens
from edgekd.fields.tokens import Word
from edgekd.fields.tokens import encode_text
from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.scan import find_first
from edgekd.strict_json import decode_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

MOST_TYPES = 16
KEYS = ("first", "second")
"""Of two texts in a line of JSON, and the columns of a table of pairs."""
_BETWEEN = encode_text("a\nb")[1:2]
"""Between two texts as bytes: the end of a line."""


def encode_byte_pair(first: str, second: str, longest: int) -> tuple[NDArray[np.int32], int]:
    """Bytes of two texts with the end of a line between them as `TextPair` stores them, cut from the end of the longer text
    until both are `longest` tokens; and how many there were.

    Raises:
        ValueError: if a text has half a character, or `longest` has no room for a byte of both.
    """
    if longest < 3:
        raise ValueError(
            f"got room for {longest} bytes, want 3 or more: of each text, and between them"
        )
    one, other = encode_text(first), encode_text(second)
    room = longest - len(_BETWEEN)
    shorter = min(len(one), len(other), room // 2)
    kept = shorter if len(one) <= len(other) else min(len(one), room - shorter)
    rest = min(len(other), room - kept)
    joined = np.concatenate([one[:kept], _BETWEEN, other[:rest] + np.int32(257)])
    return joined.astype(np.int32), len(one) + len(_BETWEEN) + len(other)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextPair(Tokens):
    """Ragged int32 [*], each the number of a token plus `vocabulary` times its type. A model takes ``<name>_types`` [N, L]
    beside what `Tokens` gives, where there are types: 0 of the first text, 1 of the second, as the tokenizer says them."""

    kind: ClassVar[str] = "text-pair"
    types: int = 1
    """How many there are; of 1 a model is told none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("types", self.types, 1, MOST_TYPES)

    def check(self, rows: Rows, where: str) -> None:
        """As `Tokens.check`; refuse other types."""
        if isinstance(rows, RaggedRows) and rows.values.dtype.kind == "i":
            most = self.vocabulary * self.types
            at = find_first(rows.values, lambda some: (some < 0) | (some >= most))
            if at is not None:
                raise InputError(
                    f"{where}: got token and type {rows.values[at]}, want 0 to {most - 1}"
                )
            rows = self._divide(rows)[0]
        super().check(rows, where)

    def sizes(self) -> dict[str, int]:
        """``vocabulary``, ``longest``, ``types``."""
        return {**super().sizes(), "types": self.types}

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """Those of `Tokens`, and int64 ``<name>_types`` [batch, length] if there are several."""
        found = super().tensors(name)
        if self.types == 1:
            return found
        shape = (BATCH, f"{name}_length")
        return (*found, Tensor(f"{name}_types", "int64", shape, "index", below=self.types))

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """Padded to the longest of these rows; padding is of the first type."""
        if not isinstance(rows, RaggedRows):
            raise ValueError(f"got {form_text(rows)}, want ragged int32 or int64 [N, *]")
        tokens, types = self._divide(rows)
        found = super().prepare(name, tokens)
        if self.types > 1:
            mask = found[f"{name}_mask"]
            found[f"{name}_types"] = np.zeros_like(mask)
            found[f"{name}_types"][mask != 0] = types.values
        return found

    def preview(self, rows: Rows) -> str:
        """As `Tokens.preview`, both texts."""
        return super().preview(self._divide(rows)[0] if isinstance(rows, RaggedRows) else rows)

    def find_words(self, row: NDArray[Any]) -> list[Word]:
        """As `Tokens.find_words`, those of both texts."""
        return super().find_words(np.asarray(row) % self.vocabulary)

    def _divide(self, rows: RaggedRows) -> tuple[RaggedRows, RaggedRows]:
        """Tokens and types."""
        values = np.asarray(rows.values)
        return (
            RaggedRows(values % values.dtype.type(self.vocabulary), rows.offsets),
            RaggedRows(values // values.dtype.type(self.vocabulary), rows.offsets),
        )

    def _encode(self, data: bytes) -> tuple[NDArray[np.int32], int]:
        """The tokens of both texts with their types, at most `longest`; and how many there were."""
        first, second = read_pair(data)
        if self.encoding == "bytes":
            try:
                return encode_byte_pair(first, second, self.longest)
            except ValueError as error:
                raise InputError(str(error)) from error
        encoded = self.load_tokenizer().encode(first.strip(), self.longest, second=second.strip())
        types = np.array(encoded.types, np.int32)
        return np.array(encoded.tokens, np.int32) + types * np.int32(
            self.vocabulary
        ), encoded.length


def read_pair(data: bytes) -> tuple[str, str]:
    """Two texts as JSON: ``["Ada slept", "somebody slept"]``, or an object of them by `KEYS`.

    Raises:
        InputError: for anything else, and for a text without a character.
    """
    want = f'want two texts as JSON, ["...", "..."] or {{"{KEYS[0]}": "...", "{KEYS[1]}": "..."}}'
    try:
        value = decode_json(data)
    except InputError as error:
        raise InputError(f"got {data[:40]!r}, {want}") from error
    if isinstance(value, dict):
        value = [value.get(key) for key in KEYS]
    if not isinstance(value, list) or [type(each) for each in value] != [str, str]:
        raise InputError(f"got {data[:40]!r}, {want}")
    for each in value:
        if not each.strip():
            raise InputError("got a text without a character, want some")
    return value[0], value[1]
