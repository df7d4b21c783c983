"""Text, or whatever else comes as a sequence of any length, as numbers of a vocabulary."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from typing import NamedTuple
from typing import Self

import numpy as np

from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import RaggedRows
from edgekd.field import form_text
from edgekd.field import from_rows
from edgekd.field import require
from edgekd.field import require_whole
from edgekd.files import digest_bytes
from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Tensor
from edgekd.scan import find_first
from edgekd.strict_json import decode_json
from edgekd.tokenizer import FILE
from edgekd.tokenizer import Tokenizer
from edgekd.tokenizer import load_tokenizer
from edgekd.units import number_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edgekd.field import Rows

MOST_VOCABULARY, MOST_LENGTH = 2**24, 2**20
ENCODINGS = ("", "bytes", "tokenizer")
BYTES_VOCABULARY = 257
DIGEST = re.compile("[0-9a-f]{64}")
MOST_SHOWN = 40
"""Numbers in a preview."""
_SPACES = np.array([ord(each) + 1 for each in " \t\n\r\f\v"])
"""Bytes that stand between words, as tokens."""


class Word(NamedTuple):
    """A word of a text."""

    first: int
    """Place of its first token."""
    last: int
    text: str


def encode_text(text: str) -> NDArray[np.int32]:
    """Its UTF-8 bytes plus one, without the white space around it, [*]; 0 is free for padding.

    Raises:
        ValueError: if it has halves of characters, which UTF-8 cannot hold.
    """
    return np.frombuffer(text.strip().encode(), np.uint8).astype(np.int32) + np.int32(1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tokens(Field):
    """Ragged int32 or int64 [*]. A model takes ``<name>`` [N, L], padded to the longest of the batch, and
    ``<name>_mask`` [N, L], 1 where there is a token."""

    kind: ClassVar[str] = "tokens"
    vocabulary: int
    """How many tokens there are: their numbers are below it."""
    usual: int
    """The length that is exported, timed and shown with."""
    longest: int
    """No sample has more."""
    padding: int = 0
    """The token that fills up."""
    encoding: str = ""
    """How plain text becomes tokens: ``bytes`` are those of `encode_text`, ``tokenizer`` those of a tokenizer.json that
    lies beside; empty if it is not known, and a user writes their numbers."""
    tokenizer: str = ""
    """SHA-256 of that file."""
    special: bool = True
    """Whether the tokens that a tokenizer puts around a text are put there."""
    tokenizer_file: bytes = dataclasses.field(default=b"", compare=False, repr=False)
    """The file itself, where it is at hand; no part of data.json."""

    def __post_init__(self) -> None:
        require_whole("vocabulary", self.vocabulary, 2, MOST_VOCABULARY)
        require_whole("longest", self.longest, 1, MOST_LENGTH)
        require_whole("usual", self.usual, 1, self.longest)
        require_whole("padding", self.padding, 0, self.vocabulary - 1)
        known = isinstance(self.encoding, str) and self.encoding in ENCODINGS
        require(known, f"encoding {self.encoding!r}, want {' or '.join(map(repr, ENCODINGS))}")
        if self.encoding == "bytes" and (self.vocabulary, self.padding) != (BYTES_VOCABULARY, 0):
            got = f"vocabulary {self.vocabulary} and padding {self.padding}"
            raise ValueError(f"got {got}, want {BYTES_VOCABULARY} and 0 for bytes")
        plain = isinstance(self.tokenizer, str) and isinstance(self.tokenizer_file, bytes)
        require(plain, "a tokenizer that is no digest")
        named = bool(DIGEST.fullmatch(self.tokenizer)) == (self.encoding == "tokenizer")
        require(named, f"tokenizer {self.tokenizer[:20]!r} for encoding {self.encoding!r}")
        whole = not self.tokenizer_file or digest_bytes(self.tokenizer_file) == self.tokenizer
        require(whole, "another tokenizer than the data were made with")

    @classmethod
    def describe(
        cls,
        rows: Rows,
        order: NDArray[np.int64],
        usual: int | None = None,
        longest: int | None = None,
        **said: Any,
    ) -> Self:
        """Where nobody says others, the longest is that of the training split, and the usual length its median."""
        if not isinstance(rows, RaggedRows):
            raise ValueError(f"got {form_text(rows)}, want ragged int32 or int64 [N, *]")
        lengths = rows.lengths
        longest = int(lengths.max(initial=1)) if longest is None else longest
        if usual is None:
            usual = min(max(1, math.ceil(np.median(lengths[order]))), longest)
        return cls(usual=usual, longest=longest, **said)

    def to_json(self) -> dict[str, Any]:
        """Without what is not said, and without the file."""
        told = super().to_json()
        del told["tokenizer_file"]
        return {
            k: v for k, v in told.items() if self.tokenizer or k not in ("tokenizer", "special")
        }

    def with_files(self, files: Mapping[str, bytes]) -> Self:
        """The same with its tokenizer at hand, if that is among them."""
        if not self.tokenizer or FILE not in files:
            return self
        return dataclasses.replace(self, tokenizer_file=files[FILE])

    def load_tokenizer(self) -> Tokenizer:
        """The tokenizer of the data.

        Raises:
            InputError: if its file is not at hand, or no such.
            MachineError: if its library is not installed.
        """
        if not self.tokenizer_file:
            raise InputError("got text, and its tokenizer is not here, want its tokens as JSON")
        return load_tokenizer(self.tokenizer_file, FILE)

    def check(self, rows: Rows, where: str) -> None:
        """Refuse tokens beyond the vocabulary, samples without a token, and those beyond the longest."""
        types = (np.int32, np.int64)
        if not isinstance(rows, RaggedRows) or rows.values.dtype not in types or not len(rows):
            raise InputError(f"{where}: got {form_text(rows)}, want ragged int32 or int64 [N, *]")
        if rows.values.ndim != 1:
            raise InputError(f"{where}: got tokens {list(rows.values.shape)}, want one axis")
        lengths = rows.lengths
        wrong = (lengths < 1) | (lengths > self.longest)
        if wrong.any():
            at = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"{where}: got {lengths[at]} tokens in sample {at}, want 1 to {self.longest}"
            )
        values = np.asarray(rows.values)
        place = find_first(values, lambda some: (some < 0) | (some >= self.vocabulary))
        if place is not None:
            number = int(np.searchsorted(rows.offsets, place, side="right")) - 1
            raise InputError(
                f"{where}: got token {values[place]} in sample {number}, want 0 to {self.vocabulary - 1}"
            )

    def sizes(self) -> dict[str, int]:
        """``vocabulary``, ``longest``."""
        return {"vocabulary": self.vocabulary, "longest": self.longest}

    def axes(self, name: str) -> tuple[Axis, ...]:
        """``<name>_length``."""
        return (Axis(f"{name}_length", 1, self.usual, self.longest),)

    def tensors(self, name: str) -> tuple[Tensor, ...]:
        """int64 ``<name>`` and ``<name>_mask`` [batch, length]."""
        shape = (BATCH, f"{name}_length")
        return (
            Tensor(name, "int64", shape, "index", below=self.vocabulary),
            Tensor(f"{name}_mask", "int64", shape, "mask"),
        )

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """Padded to the longest of these rows."""
        if not isinstance(rows, RaggedRows):
            raise ValueError(f"got {form_text(rows)}, want ragged int32 or int64 [N, *]")
        most = max(1, int(rows.lengths.max(initial=0)))
        mask = np.arange(most) < rows.lengths[:, None]
        tokens = np.full(mask.shape, self.padding, np.int64)
        tokens[mask] = rows.values
        return {name: tokens, f"{name}_mask": mask.astype(np.int64)}

    def preview(self, rows: Rows) -> str:
        """The text where its encoding is known, else the first numbers."""
        tokens = np.asarray(rows.row(0) if isinstance(rows, RaggedRows) else rows[0])
        if self.encoding == "bytes":
            return _text_of(tokens)
        if self.tokenizer_file:
            return self.load_tokenizer().decode(tokens.ravel().tolist())
        return " ".join(map(str, tokens[:MOST_SHOWN].tolist()))

    def find_words(self, row: NDArray[Any]) -> list[Word]:
        """The words of one sample; none where its encoding is not known."""
        if self.tokenizer_file:
            return self._spelled_words(row.tolist())
        if self.encoding != "bytes":
            return []
        inside = np.concatenate([[False], ~np.isin(row, [*_SPACES, 0]), [False]]).astype(np.int8)
        begins, ends = (np.flatnonzero(np.diff(inside) == step).tolist() for step in (1, -1))
        return [
            Word(start, stop - 1, _text_of(row[start:stop]))
            for start, stop in zip(begins, ends, strict=True)
        ]

    def read(self, data: bytes) -> Rows:
        """Plain text of one sample, if its encoding is known, cut to the longest as sources cut theirs; else JSON: the
        numbers of one, or a list of several."""
        if self.encoding:
            rows = from_rows([self._encode(data)[0]], np.zeros(0, np.int32))
            self.check(rows, "input")
            return rows
        value = decode_json(data)
        many = (
            value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
        )
        for row in many:
            whole = isinstance(row, list) and all(type(token) is int for token in row)
            if not whole or any(abs(token) >= MOST_VOCABULARY for token in row):
                raise InputError(f"got {data[:40]!r}, want tokens as JSON, such as [12, 7, 3]")
        rows = from_rows([np.array(row, np.int64) for row in many], np.zeros(0, np.int64))
        self.check(rows, "input")
        return rows

    def describe_cut(self, data: bytes) -> str:
        """``cut to 28 of 300 bytes`` of a longer text."""
        if not self.encoding:
            return ""
        tokens, length = self._encode(data)
        unit = "byte" if self.encoding == "bytes" else "token"
        is_cut = length > len(tokens)
        return f"cut to {self.longest} of {number_text(length, unit)}" if is_cut else ""

    def find_end(self) -> int | None:
        """The token behind which a text ends, as its tokenizer names it; None where none is known.

        Raises:
            InputError, MachineError: as `load_tokenizer`.
        """
        return self.load_tokenizer().end if self.tokenizer_file else None

    def _encode(self, data: bytes) -> tuple[NDArray[np.int32], int]:
        """The tokens of a text in UTF-8, at most `longest`; and how many there were."""
        if self.encoding == "bytes":
            tokens = _decode_text(data)
            return tokens[: self.longest], len(tokens)
        try:
            text = data.decode().strip()
        except UnicodeDecodeError as error:
            raise InputError(f"got {data[:40]!r}, want text in UTF-8") from error
        encoded = self.load_tokenizer().encode(text, self.longest, special=self.special)
        return np.array(encoded.tokens, np.int32), encoded.length

    def _spelled_words(self, row: list[int]) -> list[Word]:
        tokenizer = self.load_tokenizer()
        counted = [at for at, token in enumerate(row) if token not in tokenizer.special]
        begins = [at for at in counted if at == counted[0] or tokenizer.begins_word(row[at])]
        ends = [*begins[1:], counted[-1] + 1] if counted else []
        return [
            Word(start, stop - 1, tokenizer.decode(row[start:stop]).strip())
            for start, stop in zip(begins, ends, strict=True)
        ]


def _text_of(tokens: NDArray[Any]) -> str:
    return (tokens[tokens > 0] - 1).astype(np.uint8).tobytes().decode(errors="replace")


def _decode_text(data: bytes) -> NDArray[np.int32]:
    try:
        return encode_text(data.decode())
    except UnicodeDecodeError as error:
        raise InputError(f"got {data[:40]!r}, want text in UTF-8") from error
