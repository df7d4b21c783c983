"""Documents of running text, from text files or the rows of a list, in an order that their hashes give."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.data.blocks import Corpus
from edgekd.learn.data.blocks import SplitShares
from edgekd.learn.data.blocks import TokenStream
from edgekd.learn.data.blocks import divide_parts
from edgekd.learn.data.columns import find_splits
from edgekd.learn.data.encoding import EncodedDocument
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.hub_lists import find_name
from edgekd.learn.data.hub_lists import list_local
from edgekd.learn.data.lists import is_table
from edgekd.learn.data.lists import list_files
from edgekd.learn.data.lists import read_list
from edgekd.learn.data.spooled_corpus import read_spooled_corpus
from edgekd.learn.data.spooled_texts import HINT
from edgekd.learn.data.spooled_texts import TextSpool
from edgekd.learn.data.spooled_texts import list_spool
from edgekd.learn.data.text_csv import find_text
from edgekd.learn.formats import parquet
from edgekd.learn.formats.records import SUFFIXES as LISTS
from edgekd.learn.formats.records import Records
from edgekd.learn.formats.records import find_list_suffix
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.units import bytes_text
from edgekd.units import number_text

TEXTS = (".txt", ".md", ".rst", ".text")
"""Suffixes of files that are one document each."""
MOST_FILES, MOST_BYTES = 100_000, 2**29
"""Of a folder, and of all its texts together."""
_HALF = re.compile(r"[\ud800-\udfff]")
"""Of a character; UTF-8 cannot hold it."""
TOGETHER = 2**20
"""Bytes of texts that are encoded at once."""


class _Document(NamedTuple):
    text: str
    split: str
    """Empty where the source says none."""
    where: str


def list_documents(reference: str, data_dir: Path | None, allow_download: bool) -> list[Path]:
    """The files of `list_texts`; none of a name on the hub (see `hub_lists.pins`).

    Raises:
        InputError: as `list_texts`, or if the hub may not be asked.
    """
    if find_name(reference, data_dir) is not None:
        return list_local(reference, data_dir, allow_download)
    return list_spool(reference, data_dir, lambda: list_texts(reference, data_dir))


def list_texts(reference: str, data_dir: Path | None) -> list[Path]:
    """The file, the texts anywhere below a folder, or the files of the list that a folder holds.

    Raises:
        InputError: if it is not there, or has no text, too many, or one from outside.
    """
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


def read_corpus(
    reference: str,
    data_dir: Path | None,
    encoding: Encoding,
    text: str | None,
    shares: SplitShares,
    on_broken: str,
    skipped: list[str],
    beside: Encoding | None = None,
    spool: TextSpool | None = None,
) -> Corpus:
    """The documents of `reference` as tokens, shared out to the splits.

    Args:
        reference: a text file, a folder of them, or a list with a text a row.
        data_dir: the user's folder of data sets.
        encoding: how a text becomes tokens.
        text: column of a list; None to tell it by its name, or as the only one with words.
        shares: of the tokens, where no column ``split`` says it.
        on_broken: ``refuse`` or ``skip``.
        skipped: is told what is left out.
        beside: another encoding of the same documents, if they are wanted in both.
        spool: what `reference` is, if that has been tokenized.

    Raises:
        InputError: naming what cannot be read; if there is no text to train on, or too much.
    """
    require_known(on_broken)
    if not 0 < min(shares) <= sum(shares) < 1:
        raise InputError(
            f"validation, test: got {shares.validation:g} and {shares.test:g}, want shares above 0, together below 1"
        )
    if spool is not None and beside is not None:
        raise InputError(
            f"{reference}: got a spool, want the texts themselves, for a teacher with its own tokenizer"
        )
    if spool is not None:
        skipped += spool.skipped
        return read_spooled_corpus(spool, encoding, shares)
    encodings = [encoding] if beside is None else [encoding, beside]
    streams = [TokenStream(each.separator) for each in encodings]
    counts: Counter[str] = Counter()
    documents = _order_documents(_read_documents(reference, data_dir, text, on_broken, skipped))
    for split, encoded in _encode(documents, encodings):
        for stream, document in zip(streams, encoded, strict=True):
            stream.append(document)
        counts[split] += 1
    of_split, first = {}, 0
    for split, count in counts.items():  # documents come split by split
        of_split[split] = streams[0].parts[first : first + count]
        first += count
    if set(of_split) == {""}:
        divided = divide_parts(of_split[""], *shares)
        of_split = {name: parts for name, parts in divided.items() if len(parts)}
    if "train" not in of_split:
        raise InputError(f"{reference}: got no text to train on, want some")
    return Corpus(streams[0], of_split, len(streams[0].parts), *streams[1:])


def _read_documents(
    reference: str, data_dir: Path | None, text: str | None, on_broken: str, skipped: list[str]
) -> Iterator[_Document]:
    """Yield the documents that can be used; what is left out is added to `skipped`."""
    paths = list_texts(reference, data_dir)
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
        elif _HALF.search(document.text):
            fault = f"{document.where}: got half a character, want text in UTF-8"
        if fault and on_broken == "refuse":
            raise InputError(fault, hint=SKIP_HINT)
        if fault:
            skipped.append(fault)
            continue
        assert isinstance(document, _Document)
        size_bytes += len(document.text)
        if size_bytes > MOST_BYTES:
            raise InputError(
                f"{reference}: got more than {bytes_text(MOST_BYTES)} of text, want less", hint=HINT
            )
        yield document


def _order_documents(documents: Iterator[_Document]) -> list[tuple[str, bytes]]:
    """Split and text of each, in the order of their hashes, split by split; the first to be encoded stands last, so that
    none is held longer than that takes."""
    found = []
    for document in documents:
        data = document.text.encode()
        found.append((document.split, hashlib.sha256(data).digest(), data))
    found.sort(key=lambda each: each[:2])
    return [(split, data) for split, _, data in reversed(found)]


def _encode(
    documents: list[tuple[str, bytes]], encodings: Sequence[Encoding]
) -> Iterator[tuple[str, list[EncodedDocument]]]:
    """Yield split and tokens of every document that has some by the first encoding, from the last on; they are taken out.

    Raises:
        InputError: if two tokenizers leave out other parts of a document, so that their places in it cannot be compared.
    """
    while documents:
        some: list[tuple[str, str]] = []
        size = 0
        while documents and size < TOGETHER:
            split, data = documents.pop()
            some.append((split, data.decode()))
            size += len(data)
        texts = [text for _, text in some]
        encoded = [each.encode_documents(texts) for each in encodings]
        for (split, text), *found in zip(some, *encoded, strict=True):
            if not len(found[0].tokens):
                continue
            if len({int(each.sizes.sum()) for each in found if len(each.tokens)}) > 1:
                raise InputError(
                    f"{text[:40]!r}: got a text of which two tokenizers leave out other parts"
                )
            yield split, found


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
    column = find_text(records, text, str(path))
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
