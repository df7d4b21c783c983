from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.data import columns
from edgekd.learn.data import jsonl
from edgekd.learn.data import text_csv
from edgekd.learn.source import require_sound


def write(tmp_path: Path, *lines: str, name: str = "a.csv") -> str:
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_columns_are_told_by_name_or_content_and_texts_are_bytes(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "id,mail,spam",
        *(f'{i},"hello, you {i}",{"yes" if i % 2 else "no"}' for i in range(8)),
    )
    source = require_sound(text_csv.read(reference=path, longest=8), "a")
    rows = source.splits["train"]
    assert isinstance(rows["text"], RaggedRows)
    assert (
        rows["text"].row(0).tolist() == [value + 1 for value in b"hello, y"]
        or len(rows["text"].row(0)) == 8
    )
    assert np.array_equal(rows["labels"], np.arange(8) % 2)
    assert source.notes == (
        "texts in column mail, labels in spam; no column for splits; 8 texts of 2 classes; 8 texts cut to 8 bytes",
    )


def test_whole_numbers_are_classes_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, "text,label", *(f"some words,{i}" for i in (10, 9, 10, 9)))
    names = text_csv.read(reference=path).fields["labels"].words["names"]
    assert names == ("9", "10")


@pytest.mark.parametrize("second", [None, "more"])
def test_half_a_character_is_named_or_left_out(tmp_path: Path, second: str | None) -> None:
    path = tmp_path / "a.jsonl"
    good = '{"text": "some words", "more": "and more", "label": "x"}\n'
    path.write_text(good * 3 + '{"text": "half \\ud800 of", "more": "it all", "label": "x"}\n')
    knobs: dict[str, str] = {} if second is None else {"text": "text", "second": second}
    with pytest.raises(InputError, match="line 4: text: got half a character") as caught:
        text_csv.read(reference=str(path), **knobs)
    assert "on_broken" in caught.value.hint
    source = text_csv.read(reference=str(path), **knobs, on_broken="skip")
    assert len(source.skipped) == 1 and len(source.splits["train"]["text"]) == 3


def test_classes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MOST_CLASSES", 2)
    path = write(tmp_path, "text,label", *(f"some words,{i % 3}" for i in range(9)))
    with pytest.raises(InputError, match="label: got 3 classes, want at most 2"):
        text_csv.read(reference=path)


def test_names_that_begin_with_dashes_are_no_numbers(tmp_path: Path) -> None:
    path = write(tmp_path, "text,label", *(f"some words,{i}" for i in ("--5", "4", "-")))
    names = text_csv.read(reference=path).fields["labels"].words["names"]
    assert names == ("-", "--5", "4")


@pytest.mark.parametrize(
    ("head", "row"),
    [("text,label", "a,very good"), ("remarks here,text,mark", "a b,c,x"), ("title,z", "a,x")],
)
def test_short_texts_are_told_by_their_columns_name(tmp_path: Path, head: str, row: str) -> None:
    path = write(tmp_path, head, row, row, row[:-1] + "y", row[:-1] + "y")
    note = text_csv.read(reference=path).notes[0]
    want = "remarks here" if "remarks" in head else head.split(",")[0]
    assert note.startswith(f"texts in column {want}, labels in {head.split(',')[-1]}")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["text,label", "a b,", "c d,"], r"label: got nothing in this column, want some labels"),
        (["text,label", "4,x", "5,y"], "line 2: text: got '4', want a text"),
        (["text,title,label", "a b,c d,x", "a b,c d,y"], "text, title, which could all be it"),
        (["text,label", "a b,x", ",y"], r"a\.csv, line 3: text: got nothing"),
        (["text,label", "a b,x", "c d,nan"], "line 3: label: got 'nan', which says that there is"),
        (["a,b", "1,2"], "text: got the columns a, b; none"),
        (["text,label,split", "a b,x,train", "a b,y,val"], "line 3: label: got 'y'"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        text_csv.read(reference=write(tmp_path, *lines))


def test_an_empty_text_is_skipped_where_that_is_said(tmp_path: Path) -> None:
    path = write(tmp_path, "text,label", "a b,x", ",y", "c d,y")
    source = text_csv.read(reference=path, on_broken="skip")
    assert len(source.splits["train"]["labels"]) == 2 and "line 3" in source.skipped[0]


def test_json_lines_under_other_keys_are_told_too(tmp_path: Path) -> None:
    lines = [f'{{"review": "good words {i}", "stars": {i % 2}}}' for i in range(6)]
    source = jsonl.read(reference=write(tmp_path, *lines, name="a.jsonl"))
    assert source.notes[0].startswith("texts in key review, labels in stars; 6 texts of 2 classes")
