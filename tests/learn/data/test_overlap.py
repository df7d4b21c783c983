"""Texts of training among those that a model is judged by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekd.learn.data import jsonl
from edgekd.learn.data import tagged_text
from edgekd.learn.data.overlap import describe_overlap
from edgekd.learn.data.overlap import whole_splits
from edgekd.learn.source import Source


def read(folder: Path, tests: list[str]) -> Source:
    rows = [{"text": f"hello you {i}", "label": "ab"[i % 2], "split": "train"} for i in range(9)]
    rows += [{"text": text, "label": "a", "split": "test"} for text in tests]
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return jsonl.read(reference=str(path))


@pytest.mark.parametrize(
    ("tests", "want"),
    [
        (["who", "are", "they"], []),
        (["hello you 1", "who"], ["1 text of the 2 of the test split is a text of training"]),
        (["hello you 3", " hello you 3 ", "x"], ["2 texts of the 3 of the test split are texts"]),
        (["hello you 1", *(f"new {i}" for i in range(150))], []),
    ],
)
def test_texts_of_training_that_are_judged_by_are_told(
    tmp_path: Path, tests: list[str], want: list[str]
) -> None:
    source = read(tmp_path, tests)
    found = describe_overlap(source, whole_splits(source))
    assert len(found) == len(want) and all(map(str.startswith, found, want))


def test_sentences_with_tags_are_compared_by_their_words(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"tokens": ["Ada", f"w{i % 12}"], "tags": ["X", "O"]} for i in range(16)]
    splits = ["train"] * 12 + ["validation"] * 4
    said = zip(rows, splits, strict=True)
    path.write_text("".join(json.dumps({**row, "split": split}) + "\n" for row, split in said))
    source = tagged_text.read(reference=str(path))
    (told,) = describe_overlap(source, whole_splits(source))
    assert told.startswith("4 texts of the 4 of the validation split are texts of training")
