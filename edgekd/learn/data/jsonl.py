"""Source `jsonl`: JSON lines, each with a text and its label, in a file or in several; tokens are the text's bytes."""

from __future__ import annotations

import itertools
from array import array
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import strict_json
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.fields.label import UNLABELLED
from edgekd.learn.data.columns import KEEP_HINT
from edgekd.learn.data.columns import LOOKED_AT
from edgekd.learn.data.columns import MOST_CLASSES
from edgekd.learn.data.columns import require_unlabelled
from edgekd.learn.data.encoding import describe_cut
from edgekd.learn.data.encoding import find_tokenizer
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.hub_lists import fetch
from edgekd.learn.data.hub_lists import find_name
from edgekd.learn.data.hub_lists import list_local
from edgekd.learn.data.hub_lists import pins as pins
from edgekd.learn.data.hub_lists import remote as remote
from edgekd.learn.data.line_files import SUFFIXES
from edgekd.learn.data.line_files import list_line_files
from edgekd.learn.data.line_files import read_lines
from edgekd.learn.data.line_files import read_parts
from edgekd.learn.data.spooled_rows import read_labelled
from edgekd.learn.data.spooled_texts import find_spool
from edgekd.learn.data.spooled_texts import list_spool
from edgekd.learn.data.text_csv import find_label
from edgekd.learn.data.text_csv import find_text
from edgekd.learn.data.text_line import NoLabelError
from edgekd.learn.data.text_line import TextLine
from edgekd.learn.data.text_line import parse_line
from edgekd.learn.data.text_line import require_alike
from edgekd.learn.formats.records import Records
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import SPLITS
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.settings import Count
from edgekd.units import number_text

MOST_SKIPPED = 10_000
"""Lines that are left out."""
NO_NUMBER = -1
"""Of the class of a text that has no label."""
USUAL_KEYS = "text", "label"


class _Samples:
    """Samples of one split."""

    def __init__(self) -> None:
        self.tokens, self.lengths, self.labels = array("i"), array("q"), array("q")

    def append(self, tokens: np.ndarray, label: int) -> None:
        self.tokens.frombytes(tokens.tobytes())
        self.lengths.append(len(tokens))
        self.labels.append(label)

    def rows(self, order: np.ndarray) -> dict[str, Any]:
        """Its fields; a label becomes its place in `order`."""
        offsets = np.cumsum([0, *self.lengths], dtype=np.int64)
        text = RaggedRows(np.frombuffer(self.tokens, np.int32), offsets)
        labels = np.frombuffer(self.labels, np.int64)
        return {"text": text, "labels": np.where(labels == NO_NUMBER, UNLABELLED, order[labels])}


def files(
    *,
    reference: str,
    tokenizer: str | None = None,
    data_dir: Path | None = None,
    allow_download: bool = False,
    **_: Any,
) -> list[Path]:
    """The file, or those of a folder, and that of the tokenizer if there is one.

    Raises:
        InputError: if one is not there.
    """
    tokenizers = find_tokenizer(tokenizer, data_dir)
    if find_name(reference, data_dir) is not None:
        return [*list_local(reference, data_dir, allow_download), *tokenizers]
    place = locate(reference, data_dir)
    listed = list_spool(reference, data_dir, lambda: [path for path, _ in list_line_files(place)])
    return [*listed, *tokenizers]


def read(
    *,
    reference: str,
    text: str | None = None,
    second: str | None = None,
    label: str | None = None,
    longest: Count = 256,
    tokenizer: str | None = None,
    on_broken: str = "refuse",
    unlabelled: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The samples of `reference`, one a line: ``{"text": "...", "label": "..."}``; other keys are ignored.

    A label is text or a whole number, in all lines alike; classes are sorted. Where lines have a key ``split``, all
    have it: train, validation or test. White space around a text is no part of it.

    Args:
        reference: a file, plain or packed by gzip; a folder of .jsonl and .ndjson files, whose names say of which split
            they are; or the name of such a folder on the hub.
        text: key of the text; None takes ``text``, or tells it as `edgekd.learn.data.columns` does.
        second: key of another text, where two have one label: both are joined as the tokenizer does it, the longer cut first.
        label: key of the label; None takes ``label``, or tells it.
        longest: bytes of a text that are taken; the rest is cut off.
        tokenizer: a tokenizer.json, or the folder it lies in; None takes the bytes of a text for its tokens.
        on_broken: ``refuse`` stops at the first line that cannot be used, ``skip`` leaves them out and lists them.
        unlabelled: ``keep`` has training lines without a label teach the student what its teacher says of them.

    Raises:
        InputError: naming the file and the line that is no JSON object, lacks a text or label or has one of another
            type, or is of a class that training lacks; for a file that is too large or broken.
    """
    require_known(on_broken)
    require_unlabelled(unlabelled)
    keep = unlabelled == "keep"
    if (spool := find_spool(reference, data_dir)) is not None:
        asked = {"text": text, "second": second, "label": label, "longest": longest}
        usual = {"text": None, "second": None, "label": None, "longest": 256}
        spool.require_same("jsonl", asked, usual)
        return read_labelled(spool, spool.open_encoding(tokenizer, data_dir))
    path = locate(fetch(reference, data_dir, allow_download, SUFFIXES), data_dir)
    told, parts = (text, label), list_line_files(path)
    text, label = _find_keys(parts[0][0], text, label)
    encoding = open_encoding(tokenizer, data_dir)
    splits: dict[str | None, _Samples] = {}
    numbers: dict[str | int, int] = {}
    lines: dict[tuple[str | None, int], str] = {}
    skipped: list[str] = []
    first: TextLine | None = None
    cut = 0
    for where, split, data in read_parts(parts):
        try:
            line = parse_line(
                data, text, label, encoding, longest, keep_unlabelled=keep, second=second
            )
            line = line._replace(split=line.split or split)
            first = line if first is None or first.label is None else first
            require_alike(line, first, label)
        except (ValueError, RecursionError) as error:
            message = f"{where}: {error}"
            if on_broken == "refuse":
                more = f"; {KEEP_HINT}" if isinstance(error, NoLabelError) else ""
                raise InputError(message, hint=SKIP_HINT + more) from error
            skipped.append(message)
            if len(skipped) > MOST_SKIPPED:
                raise InputError(
                    f"{message}; want at most {MOST_SKIPPED} lines left out"
                ) from error
            continue
        cut += line.is_cut
        if line.label is None:
            splits.setdefault(line.split, _Samples()).append(line.tokens, NO_NUMBER)
            continue
        known = numbers.setdefault(line.label, len(numbers))
        if known >= MOST_CLASSES:
            raise InputError(f"{where}: got one more class, want at most {MOST_CLASSES}")
        lines.setdefault((line.split, known), where)
        splits.setdefault(line.split, _Samples()).append(line.tokens, known)
    if first is None:
        raise InputError(f"{path}: got no samples, want some")
    if not numbers:
        raise InputError(f"{path}: got no line with a {label}, want some")
    named = {name: splits[name] for name in (None, *SPLITS) if name in splits}
    _require_trained(numbers, lines, path)
    classes = sorted(numbers)
    order = np.empty(len(classes), np.int64)
    order[[numbers[each] for each in classes]] = np.arange(len(classes))
    note = _describe(named, len(classes)) + describe_cut(cut, longest, encoding.unit)
    if (text, label) not in (USUAL_KEYS, told):
        note = f"texts in key {text}, labels in {label}; {note}"
    most = max(max(samples.lengths) for samples in named.values())
    words = encoding.describe(most) if second is None else encoding.describe_pair(most)
    return Source(
        {name or "train": samples.rows(order) for name, samples in named.items()},
        {
            "text": FieldWords("tokens" if second is None else "text-pair", words),
            "labels": FieldWords("class", {"names": tuple(map(str, classes))}),
        },
        (note,),
        tuple(skipped),
        tokenizer=encoding.file,
    )


def _find_keys(path: Path, text: str | None, label: str | None) -> tuple[str, str]:
    """The keys of texts and labels, told from the first lines where they are called otherwise than usual.

    Raises:
        InputError: if several could be it.
    """
    rows: list[dict[str, Any]] = []
    for data in itertools.islice(read_lines(path), LOOKED_AT):
        try:
            value = strict_json.loads(data)
        except (ValueError, RecursionError):
            continue  # told where it is read
        if isinstance(value, dict):
            rows.append(value)
    keys = tuple(dict.fromkeys(key for row in rows for key in row))
    records = Records(keys, rows, list(range(1, len(rows) + 1)), "line")
    usual = [said or key for said, key in ((text, "text"), (label, "label"))]
    if not rows or all(key in keys for key in usual):
        return usual[0], usual[1]
    where = str(path)
    found = text or ("text" if "text" in keys else find_text(records, None, where))
    return found, label or find_label(records, None, where, found)


def _require_trained(
    numbers: dict[str | int, int], lines: dict[tuple[str | None, int], str], path: Path
) -> None:
    """Raises InputError for a class that other splits have and training lacks."""
    names = {number: label for label, number in numbers.items()}
    trained = {number for split, number in lines if split in (None, "train")}
    if not trained:
        raise InputError(f"{path}: got no line whose split is 'train', want some")
    for (split, number), at in lines.items():
        if number not in trained:
            got = f"label {names[number]!r} of the {split} split"
            raise InputError(f"{at}: got {got}, want a class that is in training")


def _describe(splits: dict[str | None, _Samples], classes: int) -> str:
    """Return how many texts and classes there are, and how many texts without a label."""
    total = sum(len(samples.lengths) for samples in splits.values())
    free = sum(samples.labels.count(NO_NUMBER) for samples in splits.values())
    told = f", {free} of them without a label" if free else ""
    return f"{number_text(total, 'text')} of {number_text(classes, 'class', 'classes')}{told}"
