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
    written = _parse_text(value, text)
    other = "" if second is None else _parse_text(value, second)
    answer = _parse_label(value, label, keep_unlabelled)
    if "split" in value and value["split"] not in SPLITS:
        raise ValueError(f"split: got {str(value['split'])[:20]!r}, want {', '.join(SPLITS)}")
    try:
        if second is None:
            tokens, is_cut = encoding.encode(written, longest)
        else:
            tokens, is_cut = encoding.encode_pair(written, other, longest)
    except UnicodeEncodeError as error:
        raise ValueError(f"{text}: got half a character, want text in UTF-8") from error
    if not len(tokens) or not written.strip() or (second is not None and not other.strip()):
        empty = text if not written.strip() or second is None else second
        raise ValueError(f"{empty}: got no text, want some")
    return TextLine(tokens, answer, value.get("split"), is_cut)


def _parse_text(value: dict[str, Any], key: str) -> str:
    if key not in value:
        raise ValueError(f"got no key {key!r}, want it")
    written = value[key]
    if not isinstance(written, str):
        raise ValueError(f"{key}: got {type(written).__name__}, want text")
    return written


def _parse_label(value: dict[str, Any], label: str, keep_unlabelled: bool) -> str | int | None:
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
