"""One line of a list of texts as JSON lines: what it says of a sample."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple
from typing import cast

import numpy as np

from edgekd import strict_json
from edgekd.errors import InputError
from edgekd.learn.data.columns import MOST_LABEL
from edgekd.learn.data.columns import is_label
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.source import SPLITS
from edgekd.learn.source import require_names
from edgekd.units import bytes_text

MOST_LINE_BYTES = 2**20


class NoLabelError(ValueError):
    """A line has no label."""


class TextLine(NamedTuple):
    """What one line says."""

    tokens: np.ndarray
    label: str | int | None
    """None where nobody has said it."""
    split: str | None
    is_cut: bool


def parse_line(
    data: bytes,
    text: str,
    label: str,
    encoding: Encoding,
    longest: int,
    *,
    keep_unlabelled: bool,
    second: str | None = None,
) -> TextLine:
    """The sample of a line.

    Args:
        data: the line.
        text: key of the text.
        label: key of the label.
        encoding: what makes tokens of the text.
        longest: tokens of a text that are taken.
        keep_unlabelled: whether a line of training may lack a label.
        second: key of the other text of a pair.

    Raises:
        NoLabelError: if it has no label.
        ValueError, RecursionError: if it is no sample.
    """
    if len(data) > MOST_LINE_BYTES:
        raise ValueError(f"got more than {bytes_text(MOST_LINE_BYTES)}, want a shorter line")
    try:
        value = strict_json.loads(data)
    except ValueError as error:
        raise ValueError(f"got no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"got {type(value).__name__}, want an object")
    said = parse_words(value, text, second)
    answer = parse_label(value, label, keep_unlabelled)
    if "split" in value and value["split"] not in SPLITS:
        raise ValueError(f"split: got {str(value['split'])[:20]!r}, want {', '.join(SPLITS)}")
    tokens, is_cut = encode_words(said, encoding, longest)
    if not len(tokens):
        raise ValueError(f"{text}: got no text, want some")
    return TextLine(tokens, answer, value.get("split"), is_cut)


def parse_words(value: dict[str, Any], text: str, second: str | None = None) -> list[str]:
    """The text, or both texts, of a row.

    Raises:
        ValueError: if one is not there, is no text, has half a character or none.
    """
    said = [_parse_text(value, key) for key in (text, second) if key is not None]
    for key, each in zip((text, second), said, strict=False):
        try:
            each.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{key}: got half a character, want text in UTF-8") from error
        if not each.strip():
            raise ValueError(f"{key}: got no text, want some")
    return said


def encode_words(said: list[str], encoding: Encoding, longest: int) -> tuple[np.ndarray, bool]:
    """The tokens of one text or of two, and whether there are more than `longest`."""
    if len(said) == 1:
        return encoding.encode(said[0], longest)
    return encoding.encode_pair(said[0], said[1], longest)


def _parse_text(value: dict[str, Any], key: str) -> str:
    if key not in value:
        raise ValueError(f"got no key {key!r}, want it")
    written = value[key]
    if not isinstance(written, str):
        raise ValueError(f"{key}: got {type(written).__name__}, want text")
    return written


def parse_label(value: dict[str, Any], label: str, keep_unlabelled: bool) -> str | int | None:
    """The label of a row; None where it may lack one.

    Raises:
        NoLabelError: if it has none.
        ValueError: if that can be no class.
    """
    answer = value.get(label)
    if answer is None or answer == "":
        if keep_unlabelled and value.get("split", "train") == "train":
            return None
        got = f"{label}: got nothing" if label in value else f"got no key {label!r}"
        raise NoLabelError(f"{got}, want a label")
    if not is_label(answer):
        got = f"{str(answer)[:20]!r} ({type(answer).__name__})"
        want = f"want text of at most {MOST_LABEL} characters or a whole number"
        raise ValueError(f"{label}: got {got}, {want}")
    try:
        require_names([str(answer)], label)
    except InputError as error:
        raise ValueError(str(error)) from error
    return cast("str | int", answer)


def require_alike(line: TextLine, first: TextLine, label: str) -> None:
    """Raises ValueError for a line of another kind than the first that could be read."""
    if line.label is not None and type(line.label) is not type(first.label):
        got, want = type(line.label).__name__, type(first.label).__name__
        raise ValueError(f"{label}: got {got}, want {want} as before")
    if (line.split is None) != (first.split is None):
        got, want = ("no", "one") if line.split is None else ("a", "none")
        raise ValueError(f"got {got} key 'split', want {want} as before")
