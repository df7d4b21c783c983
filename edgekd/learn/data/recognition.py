"""Which data source a file or folder is for, told from what lies in it; what is for none is refused by its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.fields.text_pair import KEYS as PAIRED
from edgekd.learn.data.chat_rows import holds_conversations
from edgekd.learn.data.columns import LOOKED_AT
from edgekd.learn.data.columns import NUMBERING
from edgekd.learn.data.columns import USUAL
from edgekd.learn.data.columns import column_fits
from edgekd.learn.data.documents import TEXTS
from edgekd.learn.data.folder_layout import folder_names
from edgekd.learn.data.foreign_forms import SOUNDS
from edgekd.learn.data.foreign_forms import refuse_coco
from edgekd.learn.data.foreign_forms import refuse_foreign
from edgekd.learn.data.image_list import is_image_name
from edgekd.learn.data.lists import look_at_table
from edgekd.learn.data.mask_layout import find_mask_layout
from edgekd.learn.data.mask_layout import list_pairs
from edgekd.learn.data.shard_layout import list_samples
from edgekd.learn.data.spooled_texts import find_spool
from edgekd.learn.data.text_csv import is_text
from edgekd.learn.data.text_csv import is_words
from edgekd.learn.formats.image import SUFFIXES as IMAGES
from edgekd.learn.formats.npy import list_npz
from edgekd.learn.formats.records import DELIMITED
from edgekd.learn.formats.records import JSON
from edgekd.learn.formats.records import JSON_LINES
from edgekd.learn.formats.records import Records
from edgekd.learn.formats.records import is_number
from edgekd.learn.formats.records import read_records
from edgekd.learn.source import ALIASES
from edgekd.units import number_text

WORD_COLUMNS = {".conll", ".conllu", ".conll03", ".iob", ".iob2", ".bio"}
PACKED = {".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz"}
SHARDS = "shards of image files with labels"
_MOST_FILES = 20_000
_MOST_NAME = 40
"""Of a column: prose with commas has longer ones."""


class Recognition(NamedTuple):
    """A source by name, and what it is to read."""

    source: str
    reference: str
    reason: str
    """What it was told from, in a sentence."""

    @property
    def text(self) -> str:
        """As a recipe names it: ``image-folder:photos``."""
        return f"{self.source}:{self.reference}"


class _Contents(NamedTuple):
    """Files below a folder by suffix, in small letters, and those right in it."""

    counts: dict[str, int]
    own: list[str]


def recognize_source(path: Path) -> Recognition:
    """The source that reads `path`.

    Raises:
        InputError: if there is nothing, or nothing that a source reads, with what to do about it.
    """
    if path.is_dir():
        return _recognize_folder(path)
    if not path.exists():
        raise InputError(f"{path}: got nothing there, want a file or folder")
    return _recognize_file(path)


def _recognize_file(path: Path) -> Recognition:
    suffix, reference = path.suffix.lower(), str(path)
    if suffix == ".npz":
        return _recognize_arrays(path)
    if suffix in (".parquet", ".arrow"):
        return _recognize_table(path)
    if path.name.lower().endswith((".jsonl.gz", ".ndjson.gz")):
        if holds_conversations(read_records(path, LOOKED_AT)):
            return Recognition("chat", reference, "packed JSON lines of conversations")
        return Recognition("jsonl", reference, "packed JSON lines")
    if suffix == ".tar" and _is_shard(path):
        return Recognition("webdataset", reference, "a shard of image files with labels")
    if suffix in PACKED:
        raise InputError(f"{path}: got a packed file, want it unpacked into a folder")
    if suffix in TEXTS and not _is_list(path):
        return Recognition("text-corpus", reference, "running text")
    if suffix in (*DELIMITED, *JSON, *JSON_LINES):
        if suffix in JSON:
            refuse_coco(path)
        return _recognize_list(path, read_records(path, LOOKED_AT))
    if suffix in WORD_COLUMNS:
        return Recognition("tagged-text", reference, "a word a line, with its tag")
    if suffix in IMAGES:
        raise InputError(f"{path}: got one image, want a folder of them")
    if suffix in SOUNDS:
        raise InputError(f"{path}: got sound, which no source reads yet")
    raise InputError(
        f"{path}: got a file of no known kind, want .csv, .tsv, .json, .jsonl, .txt, .conll, .npz, .parquet or a folder"
    )


def _recognize_arrays(path: Path) -> Recognition:
    names = set(list_npz(path))
    images, labels = (names.intersection(each) for each in ALIASES["train"])
    if images and labels:
        return Recognition("npz", str(path), "a file of arrays")
    return Recognition("arrays", str(path), "a file of arrays, none of which are labels")


def _recognize_table(path: Path) -> Recognition:
    """Images of Parquet or Arrow, unless its plain columns are words with tags, or texts with labels."""
    try:
        records = look_at_table(path, LOOKED_AT)
    except EdgekdError:  # told where it is read
        return Recognition("huggingface", str(path), "Parquet or Arrow files")
    if {"tokens", "tags"} <= set(records.columns):
        return Recognition("tagged-text", str(path), "a table of words with their tags")
    if holds_conversations(records):
        return Recognition("chat", str(path), "a table of conversations")
    if _find_texts(records):
        return Recognition("text-csv", str(path), "a table with a column of texts")
    return Recognition("huggingface", str(path), "Parquet or Arrow files")


def _is_shard(path: Path) -> bool:
    """Whether the first sample of a tar archive is an image with a label."""
    try:
        return next(list_samples(path, None, None), None) is not None
    except InputError:
        return False


def _recognize_list(path: Path, records: Records) -> Recognition:
    """A list of images, texts or numbers, by its columns."""
    reference = str(path)
    if any(column_fits(records, name, is_image_name) for name in records.columns):
        return Recognition("image-list", reference, "a list with a column of image files")
    if {"tokens", "tags"} <= set(records.columns):
        return Recognition("tagged-text", reference, "a list of words with their tags")
    if path.suffix.lower() not in DELIMITED and holds_conversations(records):
        return Recognition("chat", reference, "a list of conversations")
    texts = [name for name in records.columns if column_fits(records, name, is_words)]
    if all(column_fits(records, name, is_text) for name in PAIRED):
        return Recognition("text-pairs", reference, "a list of two texts a row")
    _refuse_unnamed_pairs(path, records, texts)
    suffix = path.suffix.lower()
    if _find_texts(records):
        if suffix in JSON:
            raise InputError(f"{path}: got one JSON list of texts, want JSON lines or a CSV file")
        source = "jsonl" if suffix in JSON_LINES else "text-csv"
        return Recognition(source, reference, "a list with a column of texts")
    if any(column_fits(records, name, is_number) for name in records.columns):
        return Recognition("table", reference, "a list of numbers")
    for name in records.columns:
        others = [i for i, row in enumerate(records.rows) if not is_image_name(row.get(name))]
        if name.casefold() in USUAL["file"] and others:
            got = str(records.rows[others[0]].get(name, "nothing"))[:60]
            raise InputError(
                f"{records.where(path, others[0])}: {name}: got {got!r}, "
                f"want the path of an image: {' '.join(sorted(IMAGES))}"
            )
    raise InputError(
        f"{path}: got the columns {', '.join(records.columns[:8])}, want one of image files, texts or numbers",
        hint=f"short texts: {{name: text-csv, reference: {path}, text: COLUMN, label: COLUMN}}",
    )


def _find_texts(records: Records) -> list[str]:
    """The columns of texts: of any length where they are called like texts, of words elsewhere."""
    return [
        name
        for name in records.columns
        if column_fits(records, name, is_text if name.casefold() in USUAL["text"] else is_words)
    ]


def _refuse_unnamed_pairs(path: Path, records: Records, texts: list[str]) -> None:
    """Raises InputError for two columns of texts and none of labels."""
    known = {*texts, *NUMBERING, *USUAL["split"]}
    if len(texts) == 2 and all({name, name.casefold()} & known for name in records.columns):
        first, second = texts
        raise InputError(
            f"{path}: got two columns of texts, {first} and {second}, want labels beside one of them",
            hint="texts that belong together: source: {name: text-pairs, reference: "
            f"{path}, first: {first}, second: {second}}}",
        )


def _recognize_folder(path: Path) -> Recognition:
    reference = str(path)
    if (spool := find_spool(reference, None)) is not None:
        return Recognition(spool.source, reference, "tokens of texts that were spooled")
    contents = _look_into(path)
    images = sum(contents.counts.get(suffix, 0) for suffix in IMAGES)
    refuse_foreign(path, contents.counts, contents.own, images)
    if not images:
        return _recognize_without_images(path, contents)
    try:
        layout = find_mask_layout(path)
        list_pairs(*layout.splits["train"])
    except InputError:
        pass
    else:
        return Recognition("mask-folder", reference, "folders of images and of masks")
    lists = [name for name in contents.own if _lists_images(path / name)]
    if len(lists) == 1:
        return Recognition("image-list", str(path / lists[0]), f"{lists[0]}, a list of image files")
    if len(lists) > 1:
        raise InputError(
            f"{path}: got the lists {', '.join(lists)}, want one",
            hint=f"image-list:{path / lists[0]} takes the first; a column split says which row is of which split",
        )
    if folder_names(path):
        return Recognition("image-folder", reference, "folders of images")
    raise InputError(
        f"{path}: got {number_text(images, 'image')} in one folder, want a folder for each class",
        hint=f"or a CSV file beside them with the columns file and label; without labels: images:{path}",
    )


def _recognize_without_images(path: Path, contents: _Contents) -> Recognition:
    counts = contents.counts
    if counts.get(".parquet") or counts.get(".arrow"):
        return _recognize_table(path)
    lists = [
        name for name in contents.own if Path(name).suffix.lower() in (*DELIMITED, *JSON_LINES)
    ]
    lists = [name for name in lists if not name.lower().startswith(("readme", "license"))]
    lists = [n for n in lists if Path(n).suffix.lower() not in TEXTS or _is_list(path / n)]
    arrays = [name for name in contents.own if name.lower().endswith(".npz")]
    if len(lists) + len(arrays) == 1:
        return _recognize_file(path / (lists + arrays)[0])
    shards = sorted(path.rglob("*.tar")) if counts.get(".tar") else []
    if shards and not lists and _is_shard(shards[0]):
        return Recognition("webdataset", str(path), SHARDS)
    packed = [name for name in contents.own if Path(name).suffix.lower() in PACKED]
    documents = sum(counts.get(suffix, 0) for suffix in TEXTS)
    tagged = [name for name in contents.own if Path(name).suffix.lower() in WORD_COLUMNS]
    if len(tagged) == 1 and not lists:
        return _recognize_file(path / tagged[0])
    if documents * 2 > sum(counts.values()) and not lists and not tagged:
        return Recognition("text-corpus", str(path), "files of running text")
    if packed and not lists:
        raise InputError(f"{path}: got {packed[0]}, a packed file, want it unpacked")
    if lists:
        raise InputError(
            f"{path}: got the files {', '.join(lists[:5])}, want one of them named: {path / lists[0]}"
        )
    got = ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in counts.items())
    raise InputError(f"{path}: got {got or 'an empty folder'}, want images, texts or numbers")


def _look_into(path: Path) -> _Contents:
    counts: dict[str, int] = {}
    own: list[str] = []
    total = 0
    for here, inner, names in os.walk(path):
        inner[:] = [name for name in inner if not name.startswith((".", "__"))]
        for name in names:
            if name.startswith("."):
                continue
            suffix = Path(name).suffix.lower()
            counts[suffix] = counts.get(suffix, 0) + 1
            total += 1
            if here == str(path):
                own.append(name)
        if total > _MOST_FILES:
            break
    return _Contents(counts, sorted(own))


def _is_list(path: Path) -> bool:
    """Return whether a file that may be running text has named columns instead."""
    try:
        columns = read_records(path, LOOKED_AT).columns
    except InputError:
        return False
    return len(columns) > 1 and all(len(name) <= _MOST_NAME for name in columns)


def _lists_images(path: Path) -> bool:
    if path.suffix.lower() not in (*DELIMITED, *JSON, *JSON_LINES):
        return False
    try:
        records = read_records(path, LOOKED_AT)
    except InputError:
        return False
    return any(column_fits(records, name, is_image_name) for name in records.columns)
