"""Conversations as rows of tokens, and how a user's words become the prompt of one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import ClassVar

import numpy as np

from edgekd.errors import InputError
from edgekd.field import require
from edgekd.field import require_whole
from edgekd.fields.tokens import BYTES_VOCABULARY
from edgekd.fields.tokens import DIGEST
from edgekd.fields.tokens import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_AROUND = 2**16
"""Characters that stand around a user's words."""
END_BYTE = BYTES_VOCABULARY - 1
"""Ends an answer of bytes: the token of 0xFF, which UTF-8 never has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversation(Tokens):
    """Ragged int32 [*]: whole conversations. Text is read as what a user says, and becomes the prompt of an answer."""

    kind: ClassVar[str] = "conversation"
    end: int
    """The token behind which an answer ends."""
    before: str = ""
    """What the chat template puts before the words of a user who says one thing."""
    behind: str = ""
    """What it puts behind them, up to where the answer begins."""
    template: str = ""
    """SHA-256 of the chat template; empty where a prompt is the words alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole("end", self.end, 0, self.vocabulary - 1)
        for name in ("before", "behind"):
            value = getattr(self, name)
            require(isinstance(value, str), f"{name} {type(value).__name__}, want text")
            short = len(value) <= MOST_AROUND
            require(short, f"{name} {len(value)} characters, want {MOST_AROUND} at most")
        plain = isinstance(self.template, str)
        require(
            plain and (not self.template or bool(DIGEST.fullmatch(self.template))),
            "a template that is no digest",
        )
        around = self.before + self.behind
        require(bool(self.template) or not around, f"{around[:20]!r} around words, and no template")

    def find_end(self) -> int:
        """The token behind which an answer ends."""
        return self.end

    def find_answer_end(self) -> int:
        """The same."""
        return self.end

    def _encode(self, data: bytes) -> tuple[NDArray[np.int32], int]:
        """The tokens of a prompt, of a longer one the last `longest`: there the answer begins; and how many there were."""
        try:
            words = data.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"got {data[:40]!r}, want text in UTF-8") from error
        if not words.strip():
            raise InputError("got no text, want what a user says")
        if self.encoding == "bytes":
            tokens = encode_bytes(words)
        else:
            text = self.before + words.strip() + self.behind if self.template else words
            tokenizer = self.load_tokenizer()
            around = tokenizer.find_around()[0] if self.special else ()
            encoded = tokenizer.encode(text, special=False)
            tokens = np.array([*around, *encoded.tokens], np.int32)
        return tokens[-self.longest :], len(tokens)


def encode_bytes(text: str) -> NDArray[np.int32]:
    """The UTF-8 bytes of a text plus one, all of them, [*].

    Raises:
        ValueError: if it has half a character.
    """
    return np.frombuffer(text.encode(), np.uint8).astype(np.int32) + np.int32(1)
