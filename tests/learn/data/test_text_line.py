"""Two texts with one label: lists of them become what the tokenizer's own file makes of both."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from edgekd.bundle.texts import read_table
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.fields.text_pair import KEYS
from edgekd.fields.text_pair import TextPair
from edgekd.learn.data import jsonl
from edgekd.learn.data import text_csv
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound
from tests.tokenizer_example import pair_pieces

ROWS = [
    ("Ada slept in Rome", "Ada slept", "follows"),
    ("Bob met the cat", "Zoe left Oslo", "other"),
    ("Zoe left the unbelievable cat in Oslo", "the cat slept", "other"),
]


def read(folder: Path, kind: str, **knobs: Any) -> Source:
    rows = knobs.pop("rows", ROWS)
    names = ("premise", "hypothesis", "label")
    path = folder / f"pairs.{kind}"
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows))
    else:
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([names, *rows])
    (folder / "tokenizer.json").write_bytes(pair_pieces())
    if knobs.get("tokenizer"):
        knobs["tokenizer"] = str(folder)
    source = (jsonl if kind == "jsonl" else text_csv).read(
        reference=str(path), text="premise", second="hypothesis", **knobs
    )
    return require_sound(source, kind)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("longest", [8, 64])
def test_they_are_joined_and_cut_as_the_library_does(
    tmp_path: Path, kind: str, longest: int
) -> None:
    source = read(tmp_path, kind, tokenizer=True, longest=longest)
    said = source.fields["text"]
    assert (said.kind, said.words["types"]) == ("text-pair", 2)
    field = TextPair.describe(source.splits["train"]["text"], np.arange(3), **said.words)
    library = Tokenizer.from_str(pair_pieces().decode())
    library.enable_truncation(longest, strategy="longest_first")
    for number, (first, second, _) in enumerate(ROWS):
        rows = source.splits["train"]["text"][np.array([number])]
        made, want = field.prepare("text", rows), library.encode(first, second)
        assert made["text"][0].tolist() == want.ids
        assert made["text_types"][0].tolist() == want.type_ids
    assert ("3 texts cut to 8 tokens" in source.notes[0]) == (longest == 8)
    assert source.splits["train"]["labels"].tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_of_bytes_the_end_of_a_line_stands_between(tmp_path: Path, kind: str) -> None:
    source = read(tmp_path, kind)
    rows = source.splits["train"]["text"]
    assert isinstance(rows, RaggedRows)
    row = rows.row(0)
    assert ((row % 257) - 1).astype(np.uint8).tobytes().decode() == "Ada slept in Rome\nAda slept"
    assert (row // 257).tolist() == [0] * 18 + [1] * 9


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_row_without_one_of_both_is_named(tmp_path: Path, kind: str) -> None:
    rows = [*ROWS, ("Bob met Ada", " ", "other")]
    with pytest.raises(InputError, match=r"line [45].*hypothesis: got (no text|nothing)"):
        read(tmp_path, kind, rows=rows)
    assert len(read(tmp_path, kind, rows=rows, on_broken="skip").skipped) == 1


def test_pairs_of_a_table_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "asked.csv"
    path.write_text("first,second,more\nAda slept,Ada,1\n")
    assert [json.loads(each) for each in read_table(path, KEYS)] == [["Ada slept", "Ada"]]
    path.write_text("premise,hypothesis\nBob met,Bob\n")
    assert [json.loads(each) for each in read_table(path, KEYS)] == [["Bob met", "Bob"]]
    path.write_text("a,b,c\n1,2,3\n")
    with pytest.raises(InputError, match="got columns a, b, c, want first and second"):
        read_table(path, KEYS)


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ('["Ada", "slept"]', "got list, want text"),
        ("null", "got nothing, want text"),
        ("true", "got bool, want text"),
        ('"half \\ud800 of"', "got half a character"),
    ],
)
@pytest.mark.parametrize("keys", [(), KEYS])
def test_a_row_without_text_is_named(
    tmp_path: Path, cell: str, says: str, keys: tuple[str, ...]
) -> None:
    path, name = tmp_path / "asked.jsonl", keys[1] if keys else "text"
    rows = [f'{{"first": "Bob met", "{name}": {each}}}\n' for each in ('"Ada slept"', cell)]
    path.write_text("".join(rows))
    with pytest.raises(InputError, match=f"line 2: {name}: {says}"):
        read_table(path, keys)
