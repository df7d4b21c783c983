"""Shards and descriptions of a spool that somebody else wrote, with digests that fit, are refused in one line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd import files
from edgekd import splits
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.fields.tokens import Tokens
from edgekd.learn.data import jsonl
from edgekd.learn.data import tagged_text
from edgekd.learn.data import text_corpus
from tests import spool_example
from tests.spool_example import LABELLED
from tests.spool_example import make_texts
from tests.spool_example import spool
from tests.spool_example import write_lines

small_shards = spool_example.small_shards


@pytest.mark.parametrize("what", ["token", "split", "offsets", "field", "words"])
def test_shards_of_a_stranger_are_looked_at(tmp_path: Path, what: str) -> None:
    write_lines(tmp_path / "t.jsonl", [{"text": text} for text in make_texts(20)])
    spool("text-corpus:t.jsonl")
    path, about = tmp_path / "out/train-00000.tokens", tmp_path / "out/spool-train.json"
    shard, value = splits.read(path), json.loads(about.read_text())
    made = {name: each[np.arange(len(each))] for name, each in shard.items()}
    if what == "token":
        made["tokens"].values[0] = 60_000
    if what == "split":
        made["split"] = made["split"] + np.uint8(9)
    if what == "offsets":
        made["sizes"] = made["sizes"][np.arange(len(made["split"]))[::-1]]
    if what == "field":
        made["tokens"] = made["split"]
    if what == "words":
        value["words"]["source"] = "digits"
    splits.write(path, made, np.arange(len(made["split"])))
    value["shards"][0]["sha256"] = files.digest_file(path)
    about.write_text(json.dumps(value))
    says = {
        "token": "got token 60000",
        "split": "got the number of no split",
        "offsets": "got no documents",
        "field": "got no tokens of a spool",
        "words": "spooled in several ways",
    }
    with pytest.raises(InputError, match=says[what]):
        source = text_corpus.read(reference="out", longest=4)
        words = source.fields["text"].words
        rows = source.splits["train"]["text"]
        Tokens.describe(rows, np.arange(len(rows)), **words).check(rows, "train")


TAGGED = [
    {"tokens": text.split(), "tags": ["X" if len(word) > 3 else "O" for word in text.split()]}
    for text in make_texts(20)
]


def fill(rows: RaggedRows, cell: bytes) -> RaggedRows:
    """As many cells, each with these bytes."""
    values = np.frombuffer(cell * len(rows), np.uint8)
    return RaggedRows(values, np.arange(len(rows) + 1) * len(cell))


@pytest.mark.parametrize(
    ("source", "column", "change"),
    [
        ("jsonl", "label", lambda rows: fill(rows, b"\xff")),
        ("jsonl", "label", lambda rows: fill(rows, b"[" * 5000)),
        ("jsonl", "label", lambda rows: fill(rows, b'["a"]')),
        ("jsonl", "label", lambda rows: fill(rows, b'"\\ud800"')),
        ("jsonl", "label", lambda rows: RaggedRows(rows.values.astype(np.float32), rows.offsets)),
        ("jsonl", "cut", lambda rows: np.full(len(rows), np.nan)),
        ("jsonl", "split", lambda rows: np.full(len(rows), -1)),
        ("tagged-text", "tags", lambda rows: fill(rows, b"null")),
        ("tagged-text", "tags", lambda rows: fill(rows, b"[1]")),
        ("tagged-text", "tags", lambda rows: fill(rows, b'["O"]')),
        ("tagged-text", "firsts", lambda rows: RaggedRows(rows.values + 9999, rows.offsets)),
        ("tagged-text", "firsts", lambda rows: RaggedRows(-1 - rows.values, rows.offsets)),
        ("text-corpus", "sizes", lambda rows: RaggedRows(rows.values * 0.5, rows.offsets)),
        (
            "text-corpus",
            "sizes",
            lambda rows: RaggedRows(np.full(len(rows.values), -1), rows.offsets),
        ),
    ],
)
def test_a_shard_of_a_stranger_is_refused_in_one_line(
    source: str, column: str, change: Callable[[Any], Any]
) -> None:
    """Its description may say that it is what was written."""
    lines = TAGGED if source == "tagged-text" else LABELLED
    write_lines(Path("t.jsonl"), lines)
    spool(f"{source}:t.jsonl")
    path, said = Path("out/train-00000.tokens"), Path("out/spool-train.json")
    shard = dict(splits.read(path))
    changed = {name: change(rows) if name == column else rows for name, rows in shard.items()}
    written = io.BytesIO()
    splits.write_to(written, changed, np.arange(len(shard["split"])))
    path.write_bytes(written.getvalue())
    description = files.read_json(said)
    description["shards"][0]["sha256"] = files.digest_file(path)
    said.write_bytes(files.pretty_json(description))
    readers = {"jsonl": jsonl, "tagged-text": tagged_text, "text-corpus": text_corpus}
    with pytest.raises(
        InputError, match="train-00000.tokens: got .*, want what edgekd spool wrote"
    ):
        readers[source].read(reference="out")


@pytest.mark.parametrize("words", [{"source": ["jsonl"]}, {"arguments": {"longest": "x"}}])
def test_a_description_of_a_stranger_is_refused_in_one_line(words: dict[str, Any]) -> None:
    write_lines(Path("t.jsonl"), LABELLED)
    spool("jsonl:t.jsonl")
    said = Path("out/spool-train.json")
    description = files.read_json(said)
    description["words"] |= words
    said.write_bytes(files.pretty_json(description))
    with pytest.raises(InputError, match="spooled in several ways"):
        jsonl.read(reference="out")
