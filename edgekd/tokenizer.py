"""A tokenizer of the tokenizers library, from its tokenizer.json: data of strangers, looked at before it is built.

A file says which tokens there are and how text is taken apart; none of it is code. What could make the library hang or
answer by chance is refused.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from edgekd import strict_json
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.tokenizer_parts import list_numbers
from edgekd.tokenizer_parts import require_harmless
from edgekd.units import number_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BYTES = 2**26
"""Of the file."""
FILE = "tokenizer.json"
MASKS = ("[MASK]", "<mask>", "<|mask|>", "<mask_1>")
"""What they call the token that hides another."""
MODELS = ("BPE", "WordPiece", "Unigram", "WordLevel")
PADDINGS = ("[PAD]", "<pad>", "<|pad|>", "<|endoftext|>", "</s>")
"""What files call the token that fills up; its places are masked, so any will do."""
ENDS = ("<|endoftext|>", "</s>", "<|end_of_text|>", "<eos>", "[SEP]")
"""What they call the token that stands between two texts."""


class TokenizedText(NamedTuple):
    """One text."""

    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """Of each token the characters of the text that it stands for; (0, 0) of special ones."""
    length: int
    """How many tokens the whole text has, those that are cut off included."""
    types: tuple[int, ...] = ()
    """Of each token which text it is of, as the file says it: 0 of the first, mostly 1 of the second."""

    @property
    def is_cut(self) -> bool:
        """Whether the text has more tokens."""
        return self.length > len(self.tokens)


class Tokenizer(NamedTuple):
    """A tokenizer that may run."""

    data: bytes
    digest: str
    """SHA-256 of the file."""
    vocabulary: int
    """The largest number of a token, plus one."""
    padding: int
    end: int | None
    """The token between two texts; None if the file names none."""
    special: frozenset[int]
    library: Any

    def encode(
        self,
        text: str,
        longest: int | None = None,
        *,
        special: bool = True,
        second: str | None = None,
    ) -> TokenizedText:
        """Its tokens, or those of two texts as the file's own post-processor joins them.

        Args:
            text: of any length.
            longest: how many are taken, special ones included; None for all. Of two texts the longer is cut first.
            special: whether to add the tokens that begin and end a text.
            second: the other text of a pair.

        Raises:
            InputError: if `longest` is too short for the special tokens alone, or the text has no tokens of its vocabulary.
        """
        found = self._ask(text, special, second)
        length = len(found.ids)
        if longest is not None and length > longest:
            try:
                self.library.enable_truncation(longest, strategy="longest_first")
                found = self._ask(text, special, second)
            finally:
                self.library.no_truncation()
            if len(found.ids) > longest:
                around = number_text(len(self._ask("", True, second and "").ids), "token")
                want = f"want room for the {around} around a text"
                raise InputError(f"longest: got {longest}, {want}")
        return TokenizedText(tuple(found.ids), tuple(found.offsets), length, tuple(found.type_ids))

    def encode_all(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
        """Yield of each text its tokens [T], without those that begin and end a text, and the character behind the last
        that each stands for [T]; the library's threads share the texts.

        Raises:
            InputError: if a text has no tokens of its vocabulary.
        """
        import numpy as np

        try:
            every = self.library.encode_batch(list(texts), add_special_tokens=False)
        except BaseException as error:  # a panic of the library is no Exception
            got = f"texts, which the library cannot take apart: {_first_line(error)}"
            raise InputError(f"{FILE}: got {got}") from error
        for text, found in zip(texts, every, strict=True):
            self._require_known(text, found)
            spans = np.array(found.offsets, np.int64).reshape(-1, 2)
            yield np.array(found.ids, np.int32), spans[:, 1]

    def _ask(self, text: str, special: bool, second: str | None = None) -> Any:
        """What the library makes of a text, or of two."""
        try:
            found = self.library.encode(text, second, add_special_tokens=special)
        except BaseException as error:  # a panic of the library is no Exception
            got = f"{text[:40]!r}, which the library cannot take apart: {_first_line(error)}"
            raise InputError(f"{FILE}: got {got}") from error
        self._require_known(text, found)
        return found

    def _require_known(self, text: str, found: Any) -> None:
        if max(found.ids, default=0) >= self.vocabulary:
            got = f"token {max(found.ids)} for {text[:40]!r}"
            raise InputError(f"{FILE}: got {got}, want those below {self.vocabulary}")

    def decode(self, tokens: list[int]) -> str:
        """The text that tokens stand for, without special ones."""
        text: str = self.library.decode(tokens, skip_special_tokens=True)
        return text

    def spell(self, token: int) -> str:
        """How the vocabulary writes a token, ``##ing`` or ``Ġthe``; its number where it has no such."""
        return self.library.id_to_token(token) or f"token {token}"

    def find_mask(self, name: str | None = None) -> int | None:
        """The token that hides another: the one of that name, or of a usual one; None if there is none."""
        found = (self.library.token_to_id(each) for each in ((name,) if name else MASKS))
        return next((number for number in found if number is not None), None)

    def find_around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The tokens that are put before a text, and behind it."""
        found = self._ask("a b", True)
        inside = [at for at, special in enumerate(found.special_tokens_mask) if not special]
        if not inside:
            return tuple(found.ids), ()
        return tuple(found.ids[: inside[0]]), tuple(found.ids[inside[-1] + 1 :])

    def begins_word(self, token: int) -> bool:
        """Whether a token begins a word, as its spelling says."""
        spelled = self.library.id_to_token(token) or ""
        if token in self.special:
            return False
        return spelled.startswith(("Ġ", "▁")) or (
            self.library.decoder is not None
            and type(self.library.model).__name__ == "WordPiece"
            and not spelled.startswith("##")
        )


@functools.lru_cache(maxsize=4)
def load_tokenizer(data: bytes, where: str) -> Tokenizer:
    """The tokenizer that a tokenizer.json describes.

    Args:
        data: of the file.
        where: how to call it in a message.

    Raises:
        InputError: if it is no such file, names tokens without numbers, or would hang or answer by chance.
        MachineError: if the library is not installed.
    """
    described = _read(data, where)
    numbers = list_numbers(described, where)
    require_harmless(described, where)
    try:
        import tokenizers
    except ImportError as error:
        raise MachineError(
            f"{where}: got no package 'tokenizers', want it installed",
            hint="pip install 'edgekd[hub]'",
        ) from error
    try:
        with _silence_library():
            library = tokenizers.Tokenizer.from_str(data.decode())
            library.no_truncation()
            library.no_padding()
            library.encode("a b")
    except BaseException as error:  # a panic of the library is no Exception
        raise InputError(f"{where}: the library cannot build it: {_first_line(error)}") from error
    strangers = set(library.get_vocab(with_added_tokens=True).values()) - numbers
    if strangers:
        got = f"token {min(strangers)} under another number than the library gives it"
        raise InputError(f"{where}: added_tokens: got {got}, want those behind the vocabulary")
    special = frozenset(each["id"] for each in described["added_tokens"] if each.get("special"))
    named = {name: library.token_to_id(name) for name in (*PADDINGS, *ENDS)}
    paddings, ends = (
        [number for name in names if (number := named[name]) is not None]
        for names in (PADDINGS, ENDS)
    )
    return Tokenizer(
        data,
        hashlib.sha256(data).hexdigest(),
        max(numbers) + 1,
        next(iter(paddings), 0),
        next(iter(ends), None),
        special,
        library,
    )


@contextlib.contextmanager
def _silence_library() -> Iterator[None]:
    """What native code writes to the standard error goes nowhere: a panic comes as an exception, too, and its lines would
    stand before ours."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _first_line(error: BaseException) -> str:
    """Of what the library says; an interruption stays one."""
    if isinstance(error, KeyboardInterrupt | SystemExit):
        raise error
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _read(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        raise InputError(f"{where}: got {len(data)} bytes, want at most {MOST_BYTES}")
    try:
        value = strict_json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: got no JSON: {str(error)[:100]}, want a {FILE}") from error
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        raise InputError(f"{where}: got JSON without a model, want a {FILE}")
    model = value["model"]
    kind = model.get("type")
    if kind not in MODELS:
        raise InputError(f"{where}: model.type: got {str(kind)[:40]!r}, want {', '.join(MODELS)}")
    if model.get("dropout"):
        raise InputError(f"{where}: model.dropout: got {str(model['dropout'])[:20]}, want none")
    value.setdefault("added_tokens", [])
    return value
