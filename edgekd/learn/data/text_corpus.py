"""Source `text-corpus`: running text for language models, from text files or the rows of a list, in blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.data.blocks import Blocks
from edgekd.learn.data.blocks import Part
from edgekd.learn.data.blocks import TokenStream
from edgekd.learn.data.blocks import count_tokens
from edgekd.learn.data.columns import find_column
from edgekd.learn.data.columns import find_splits
from edgekd.learn.data.encoding import EncodedDocument
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.encoding import find_tokenizer
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.lists import is_table
from edgekd.learn.data.lists import list_files
from edgekd.learn.data.lists import read_list
from edgekd.learn.data.text_csv import is_words
from edgekd.learn.formats import parquet
from edgekd.learn.formats.records import SUFFIXES as LISTS
from edgekd.learn.formats.records import Records
from edgekd.learn.formats.records import find_list_suffix
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.settings import Count
from edgekd.settings import Fraction
from edgekd.units import bytes_text
from edgekd.units import number_text

TEXTS = (".txt", ".md", ".rst", ".text")
"""Suffixes of files that are one document each."""
MOST_FILES, MOST_BYTES = 100_000, 2**29
"""Of a folder, and of all its texts together."""
TOGETHER = 2**20
"""Bytes of texts that are encoded at once."""


class _Document(NamedTuple):
    text: str
    split: str
    """Empty where the source says none."""
    where: str


def files(
    *, reference: str, tokenizer: str | None = None, data_dir: Path | None = None, **_: Any
) -> list[Path]:
    """The file, or the texts anywhere below a folder; and the file of the tokenizer if there is one.

    Raises:
        InputError: if it is not there, or has no text or too many.
    """
    return [*_list_texts(reference, data_dir), *find_tokenizer(tokenizer, data_dir)]


def _list_texts(reference: str, data_dir: Path | None) -> list[Path]:
    place = locate(reference, data_dir)
    if not place.is_dir():
        return [place]
    root = place.resolve()
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in TEXTS)
    if not found and any(parquet.split_files(place).values()):
        return list_files(reference, data_dir)
    if not 0 < len(found) <= MOST_FILES:
        want = f"1 to {MOST_FILES} files of {', '.join(TEXTS)}, or Parquet"
        raise InputError(f"{place}: got {number_text(len(found), 'text')}, want {want}")
    for path in found:
        if not path.is_file() or not path.resolve().is_relative_to(root):
            raise InputError(f"{path}: got no regular file inside {place}, want one")
    return found


def read(
    *,
    reference: str,
    text: str | None = None,
    longest: Count = 128,
    tokenizer: str | None = None,
    packed: bool = True,
    validation: Fraction = 0.1,
    test: Fraction = 0.1,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """Blocks of the texts of `reference`: a text file, a folder of them, or a list with a text a row (.jsonl, .json, .csv,
    .tsv; .gz; .parquet, .arrow, or a folder of those). What follows each token is what a model has to say.

    Documents are ordered by their hash and shared out to the splits one behind the other, so that no two splits hold the
    same place; a list with a column ``split`` says it itself.

    Args:
        reference: the file or folder.
        text: column of a list; None to tell it by its name, or as the only one with words.
        longest: tokens of a block.
        tokenizer: a tokenizer.json, or the folder it lies in; None takes the bytes of a text for its tokens.
        packed: documents stand one behind the other with a separator between two, and blocks are all of one length,
            what is left over at the end left out; a document sees what stands before it in its block. Else each document
            is cut by itself, and blocks are of many lengths.
        validation: share of the tokens that is kept for choices.
        test: share that is kept for the report.
        on_broken: ``refuse`` stops at the first text that cannot be used, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the file that is no UTF-8, or the row without a text; if there is too little text, or too much.
    """
    require_known(on_broken)
    if not 0 < min(validation, test) <= validation + test < 1:
        raise InputError(
            f"validation, test: got {validation:g} and {test:g}, want shares above 0, together below 1"
        )
    encoding = open_encoding(tokenizer, data_dir)
    skipped: list[str] = []
    stream = TokenStream(encoding.separator)
    of_split: dict[str, list[Part]] = {}
    documents = _order_documents(_read_documents(reference, data_dir, text, on_broken, skipped))
    for split, encoded in _encode(documents, encoding):
        stream.append(encoded)
        of_split.setdefault(split, []).append(stream.parts[-1])
    count = len(stream.parts)
    if set(of_split) == {""}:
        of_split = {name: parts for name, parts in stream.divide(validation, test).items() if parts}
    if not of_split.get("train"):
        raise InputError(f"{reference}: got no text to train on, want some")
    blocks = {
        name: stream.pack(parts, longest) if packed else stream.cut(parts, longest)
        for name, parts in of_split.items()
    }
    for name, each in blocks.items():
        if not len(each.tokens):
            length = count_tokens(of_split[name])
            raise InputError(
                f"{reference}, {name} split: got {number_text(length, encoding.unit)}, want more than a block of {longest}",
                hint="longest: a smaller number, beside the source's name, makes shorter blocks",
            )
    described = encoding.describe(
        max(int(each.tokens.lengths.max()) for each in blocks.values()), special=False
    )
    total = sum(len(each.tokens) for each in blocks.values())
    note = (
        f"{number_text(count, 'document')} in {number_text(total, 'block')} of at most "
        f"{number_text(longest, encoding.unit)}, {'packed' if packed else 'each document by itself'}"
    )
    return Source(
        {name: _rows(each) for name, each in blocks.items()},
        {
            "text": FieldWords("tokens", described),
            "next_tokens": FieldWords("next-tokens", {"vocabulary": described["vocabulary"]}),
            "text_bytes": FieldWords(
                "number", {"columns": ("bytes",), "mean": (0.0,), "std": (1.0,)}
            ),
        },
        (note,),
        tuple(skipped),
        tokenizer=encoding.file,
    )


def _read_documents(
    reference: str, data_dir: Path | None, text: str | None, on_broken: str, skipped: list[str]
) -> Iterator[_Document]:
    """Yield the documents that can be used; what is left out is added to `skipped`."""
    paths = _list_texts(reference, data_dir)
    place = locate(reference, data_dir)
    if (
        is_table(place)
        and paths[0].suffix.lower() not in TEXTS
        or len(paths) == 1
        and (suffix := find_list_suffix(place)) in LISTS
        and suffix not in TEXTS
    ):
        whole = _read_rows(read_list(place), place, text)
    else:
        whole = _read_texts(paths)
    size_bytes = 0
    for document in whole:
        fault = ""
        if isinstance(document, InputError):
            fault = str(document)
        elif not document.text.strip():
            fault = f"{document.where}: got no text, want some"
        if fault and on_broken == "refuse":
            raise InputError(fault, hint=SKIP_HINT)
        if fault:
            skipped.append(fault)
            continue
        assert isinstance(document, _Document)
        size_bytes += len(document.text)
        if size_bytes > MOST_BYTES:
            raise InputError(
                f"{reference}: got more than {bytes_text(MOST_BYTES)} of text, want less"
            )
        yield document


def _order_documents(documents: Iterator[_Document]) -> list[tuple[str, bytes]]:
    """Split and text of each, in the order of their hashes, split by split; the first to be encoded stands last, so that
    none is held longer than that takes."""
    found = []
    for document in documents:
        try:
            data = document.text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{document.where}: got half a character, want text in UTF-8"
            ) from error
        found.append((document.split, hashlib.sha256(data).digest(), data))
    found.sort(key=lambda each: each[:2])
    return [(split, data) for split, _, data in reversed(found)]


def _encode(
    documents: list[tuple[str, bytes]], encoding: Encoding
) -> Iterator[tuple[str, EncodedDocument]]:
    """Yield split and tokens of every document that has some, from the last on; they are taken out."""
    while documents:
        some: list[tuple[str, str]] = []
        size = 0
        while documents and size < TOGETHER:
            split, data = documents.pop()
            some.append((split, data.decode()))
            size += len(data)
        encoded = encoding.encode_documents([text for _, text in some])
        for (split, _), each in zip(some, encoded, strict=True):
            if len(each.tokens):
                yield split, each


def _read_texts(paths: Sequence[Path]) -> Iterator[_Document | InputError]:
    for path in paths:
        with disk.open_regular(path) as file:
            data: bytes = file.read(MOST_BYTES + 1)
        try:
            yield _Document(data.removeprefix(b"\xef\xbb\xbf").decode(), "", str(path))
        except UnicodeDecodeError as error:
            got = f"byte {data[error.start]:#04x} at {error.start}, which is no UTF-8"
            yield InputError(f"{path}: got {got}, want text in UTF-8")


def _read_rows(records: Records, path: Path, text: str | None) -> Iterator[_Document | InputError]:
    column = find_column(records, "text", text, str(path), is_words)
    said, splits = find_splits(records, None, path, str(path))
    of_row = {at: name for name, numbers in splits.items() for at in numbers} if said else {}
    for number, row in enumerate(records.rows):
        value, where = row.pop(column, None), records.where(path, number)
        row.clear()  # a row is read once, and a list may be large
        if isinstance(value, str):
            yield _Document(value, of_row.get(number, ""), where)
        else:
            got = type(value).__name__ if value is not None else "nothing"
            yield InputError(f"{where}: {column}: got {got}, want text")


def _rows(blocks: Blocks) -> dict[str, Any]:
    return {
        "text": blocks.tokens,
        "next_tokens": blocks.following,
        "text_bytes": blocks.sizes[:, None].astype(np.float32),
    }
