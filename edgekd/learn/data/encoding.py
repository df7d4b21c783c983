"""How the texts of a source become tokens: their bytes."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.fields.tokens import BYTES_VOCABULARY
from edgekd.fields.tokens import encode_text
from edgekd.units import number_text

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
    separator = EncodedDocument(encode_text("a\nb")[1:2], np.ones(1, np.int64))
    """Between two documents: the end of a line."""

    def describe(self, longest: int) -> Mapping[str, Any]:
        """What the field of tokens says of itself.

        Args:
            longest: tokens of the longest text.
        """
        return {"vocabulary": BYTES_VOCABULARY, "longest": longest, "encoding": "bytes"}

    def encode_document(self, text: str) -> EncodedDocument:
        """A text of any length.

        Raises:
            ValueError: if it has half a character.
        """
        tokens = encode_text(text)
        return EncodedDocument(tokens, np.ones(len(tokens), np.int64))

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


def describe_cut(cut: int, longest: int, unit: str) -> str:
    """``; 3 texts cut to 256 bytes``; empty where none is cut."""
    return f"; {number_text(cut, 'text')} cut to {number_text(longest, unit)}" if cut else ""
