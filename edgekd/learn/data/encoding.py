"""How the texts of a source become tokens: their bytes, or what a tokenizer.json makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd import files
from edgekd.errors import InputError
from edgekd.fields.text_pair import encode_byte_pair
from edgekd.fields.tokens import BYTES_VOCABULARY
from edgekd.fields.tokens import encode_text
from edgekd.learn.gguf.reading import read_head
from edgekd.learn.gguf.tokenizer import read_tokenizer
from edgekd.learn.model_hub import GGUF
from edgekd.learn.model_hub import find_gguf
from edgekd.learn.source import locate
from edgekd.tokenizer import FILE
from edgekd.tokenizer import MOST_BYTES
from edgekd.tokenizer import Tokenizer
from edgekd.tokenizer import load_tokenizer
from edgekd.units import number_text

MOST_PIECE = 2**20
"""Characters of a text that are encoded at once: the library takes some hundred bytes a token."""
SPACE = encode_text("a b")[1:2]
"""Between two words that are given one by one."""


class EncodedWords(NamedTuple):
    """Words of one text as tokens."""

    tokens: NDArray[np.int32]
    firsts: list[int]
    """Place of the first token of each word, of those words that begin before the text is cut off."""
    is_cut: bool


class EncodedDocument(NamedTuple):
    """A whole text as tokens."""

    tokens: NDArray[np.int32]
    sizes: NDArray[np.int64]
    """Bytes of UTF-8 that each token stands for; those of all tokens are those of the text."""


class ByteEncoding:
    """Tokens are the bytes of UTF-8 plus one; needs nothing on a board."""

    unit = "byte"
    file = b""
    separator = EncodedDocument(encode_text("a\nb")[1:2], np.ones(1, np.int64))
    """Between two documents: the end of a line."""

    def describe(self, longest: int, *, special: bool = True) -> Mapping[str, Any]:
        """What the field of tokens says of itself.

        Args:
            longest: tokens of the longest text.
            special: whether texts were given the tokens that begin and end one; bytes have none.
        """
        return {"vocabulary": BYTES_VOCABULARY, "longest": longest, "encoding": "bytes"}

    def encode(self, text: str, longest: int) -> tuple[NDArray[np.int32], bool]:
        """The tokens of a text, and whether there are more than `longest`.

        Raises:
            ValueError: if it has half a character.
        """
        tokens = encode_text(text)
        return tokens[:longest], len(tokens) > longest

    def encode_pair(self, first: str, second: str, longest: int) -> tuple[NDArray[np.int32], bool]:
        """The tokens of two texts as `TextPair` stores them, and whether there are more than `longest`.

        Raises:
            ValueError: if one has half a character.
        """
        tokens, length = encode_byte_pair(first, second, longest)
        return tokens, length > longest

    def describe_pair(self, longest: int) -> Mapping[str, Any]:
        """What the field of two texts says of itself."""
        return {**self.describe(longest), "types": 2}

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedDocument]:
        """Texts of any length.

        Raises:
            ValueError: if one has half a character.
        """
        encoded = map(encode_text, texts)
        one = np.int64(1)
        return [EncodedDocument(each, np.broadcast_to(one, len(each))) for each in encoded]

    def encode_words(self, words: Sequence[str], longest: int) -> EncodedWords:
        """The words with a space between each two, cut off after `longest` tokens.

        Raises:
            ValueError: for a word without a character, or with half of one.
        """
        parts: list[NDArray[np.int32]] = []
        firsts, length = [], 0
        for number, word in enumerate(words):
            each = encode_text(word)
            if not len(each):
                raise ValueError(f"got word {number} without a character, want some")
            parts += [SPACE, each] if number else [each]
            firsts.append(length + (number > 0))
            length += len(each) + (number > 0)
        whole = np.concatenate(parts)
        return EncodedWords(
            whole[:longest], [at for at in firsts if at < longest], length > longest
        )


class TokenizerEncoding:
    """Tokens are those of a tokenizer.json, which goes into the bundle."""

    unit = "token"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.file = tokenizer.data
        end = [] if tokenizer.end is None else [tokenizer.end]
        self.separator = EncodedDocument(np.array(end, np.int32), np.zeros(len(end), np.int64))

    def describe(self, longest: int, *, special: bool = True) -> Mapping[str, Any]:
        """As `ByteEncoding.describe`."""
        return {
            "vocabulary": max(2, self.tokenizer.vocabulary),
            "longest": longest,
            "padding": self.tokenizer.padding,
            "encoding": "tokenizer",
            "tokenizer": self.tokenizer.digest,
            "special": special,
        }

    def encode(self, text: str, longest: int) -> tuple[NDArray[np.int32], bool]:
        """As `ByteEncoding.encode`, with the tokens that begin and end a text."""
        require_whole_characters(text)
        found = self.tokenizer.encode(text.strip(), longest)
        return np.array(found.tokens, np.int32), found.is_cut

    def encode_pair(self, first: str, second: str, longest: int) -> tuple[NDArray[np.int32], bool]:
        """As `ByteEncoding.encode_pair`, joined as the file's own post-processor does it."""
        require_whole_characters(first + second)
        found = self.tokenizer.encode(first.strip(), longest, second=second.strip())
        types = np.array(found.types, np.int64) * int(self.describe(1)["vocabulary"])
        return (np.array(found.tokens, np.int64) + types).astype(np.int32), found.is_cut

    def describe_pair(self, longest: int) -> Mapping[str, Any]:
        """As `ByteEncoding.describe_pair`."""
        types = self.tokenizer.encode("a", second="b").types
        return {**self.describe(longest), "types": max(types, default=0) + 1}

    def encode_documents(self, texts: Sequence[str]) -> list[EncodedDocument]:
        """As `ByteEncoding.encode_documents`; a character of several tokens counts with the first that ends it.

        A text is given to the library in pieces of at most `MOST_PIECE` characters that end where a line does.
        """
        pieces: list[str] = []
        counts = []
        for text in texts:
            require_whole_characters(text)
            found = list(_cut_lines(text.strip()))
            pieces += found
            counts.append(len(found))
        encoded = iter(map(_measure, pieces, self.tokenizer.encode_all(pieces)))
        return [_join([next(encoded) for _ in range(count)]) for count in counts]

    def encode_words(self, words: Sequence[str], longest: int) -> EncodedWords:
        """As `ByteEncoding.encode_words`."""
        begins, length = [], 0
        for number, word in enumerate(words):
            if not word.strip():
                raise ValueError(f"got word {number} without a character, want some")
            begins.append(length)
            length += len(word) + 1
        text = " ".join(words)
        require_whole_characters(text)
        found = self.tokenizer.encode(text, longest)
        firsts: list[int] = []
        place = 0
        for number, (begin, word) in enumerate(zip(begins, words, strict=True)):
            while place < len(found.spans) and found.spans[place][1] <= begin:
                place += 1
            is_last = place == len(found.spans)
            if is_last and found.is_cut:
                break
            if is_last or found.spans[place][0] >= begin + len(word):  # it was cleaned away
                got = f"word {number}, {word[:40]!r}, of which the tokenizer leaves no token"
                raise ValueError(f"got {got}, want one of its own")
            firsts.append(place)
            place += 1
        return EncodedWords(np.array(found.tokens, np.int32), firsts, found.is_cut)


Encoding = ByteEncoding | TokenizerEncoding


def _cut_lines(text: str) -> Iterator[str]:
    """Yield a text in pieces that end behind a line's end where there is one."""
    start = 0
    while len(text) - start > MOST_PIECE:
        stop = text.rfind("\n", start, start + MOST_PIECE) + 1
        stop = stop if stop > start else start + MOST_PIECE
        yield text[start:stop]
        start = stop
    yield text[start:]


def count_bytes_before(text: str) -> NDArray[np.int64]:
    """Bytes of UTF-8 before each character, and of all, [characters + 1]."""
    if text.isascii():
        return np.arange(len(text) + 1)
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    each = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000).astype(np.int64)
    return np.concatenate([[0], np.cumsum(each)])


def _measure(text: str, found: tuple[NDArray[np.int32], NDArray[np.int64]]) -> EncodedDocument:
    """Tokens with the bytes that each stands for, of where each ends in its text."""
    tokens, stops = found
    if not len(tokens):
        return EncodedDocument(tokens, np.zeros(0, np.int64))
    whole = len(text)
    if not text.isascii():
        before = count_bytes_before(text)
        stops, whole = before[stops], before[-1]
    ends = np.maximum.accumulate(stops)
    sizes = ends.copy()
    sizes[1:] -= ends[:-1]  # np.diff takes ten times as long for a short text
    sizes[-1] += whole - ends[-1]  # what no token stands for
    return EncodedDocument(tokens, sizes)


def _join(pieces: Sequence[EncodedDocument]) -> EncodedDocument:
    if len(pieces) == 1:
        return pieces[0]
    tokens, sizes = (np.concatenate(each) for each in zip(*pieces, strict=True))
    return EncodedDocument(tokens, sizes)


def require_whole_characters(text: str) -> None:
    """Raises UnicodeEncodeError for a text with half a character, which the library would not take."""
    text.encode()


def find_tokenizer(tokenizer: str | None, data_dir: Path | None) -> list[Path]:
    """The tokenizer.json that a source names, a file or the folder it lies in, or a GGUF file that holds one; nothing
    where it names none.

    Raises:
        InputError: if it is not there.
    """
    if tokenizer is None:
        return []
    path = locate(tokenizer, data_dir)
    if not path.is_dir():
        return [path]
    beside = None if (path / FILE).exists() else find_gguf(path)
    return [beside or locate(str(path / FILE), None)]


def open_encoding(tokenizer: str | None, data_dir: Path | None) -> Encoding:
    """How a source's texts become tokens.

    Raises:
        InputError: if its tokenizer is not there, or none that may run.
        MachineError: if the library is not installed.
    """
    paths = find_tokenizer(tokenizer, data_dir)
    if not paths:
        return ByteEncoding()
    if paths[0].suffix == GGUF:
        return TokenizerEncoding(load_tokenizer(read_tokenizer(read_head(paths[0])), str(paths[0])))
    with files.open_regular(paths[0]) as file:
        data: bytes = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InputError(f"{paths[0]}: got more than {MOST_BYTES} bytes, want less")
    return TokenizerEncoding(load_tokenizer(data, str(paths[0])))


def describe_cut(cut: int, longest: int, unit: str) -> str:
    """``; 3 texts cut to 256 bytes``; empty where none is cut."""
    return f"; {number_text(cut, 'text')} cut to {number_text(longest, unit)}" if cut else ""
