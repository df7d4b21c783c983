"""Two texts a row: no split tears a pair apart; a row that lacks one is refused by its line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import InputError
from edgekd.learn.data import text_pairs
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, **knobs: Any) -> Source:
    return require_sound(text_pairs.read(reference=str(path), **knobs), "text-pairs")


def many(count: int = 40) -> list[dict[str, Any]]:
    return [{"first": f"text {n}", "second": f"other {n}", "how": n / 10} for n in range(count)]


def test_no_split_tears_a_pair_apart(tmp_path: Path) -> None:
    source = read(write(tmp_path, many()), score="how", dimensions=16)
    assert {name: len(rows["pairs"]) for name, rows in source.splits.items()} == {
        "train": 64,
        "test": 8,
        "validation": 8,
    }
    seen = set()
    for rows in source.splits.values():
        texts = [bytes((row - 1).tolist()).decode() for row in rows["text"]]
        for first, second, (number, member, score) in zip(
            texts[::2], texts[1::2], rows["pairs"][::2].tolist(), strict=True
        ):
            assert first.split()[1] == second.split()[1] == str(round(score * 10))
            assert member == 0 and rows["pairs"][2 * int(number) + 1].tolist() == [number, 1, score]
            seen.add(first)
    assert len(seen) == 40
    assert source.fields["pairs"].words == {"dimensions": 16, "scored": True}
    again = read(write(tmp_path, many()[::-1]), score="how")  # in another order the same splits
    assert (
        again.splits["test"]["text"].values.tolist()
        == source.splits["test"]["text"].values.tolist()
    )


def test_a_list_may_say_its_splits_and_columns(tmp_path: Path) -> None:
    rows = [{"a": "x", "b": "y", "split": "train"}, {"a": "z", "b": "w", "split": "test"}]
    source = read(write(tmp_path, rows), first="a", second="b")
    assert {name: len(each["pairs"]) for name, each in source.splits.items()} == {
        "train": 2,
        "test": 2,
    }
    assert not source.fields["pairs"].words["scored"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"first": "a"}, "second: got 'None', want text"),
        ({"first": " ", "second": "b"}, "first: got ' ', want text"),
        ({"first": "\ud800", "second": "b"}, "first: got half a character"),
        ({"first": 3, "second": "b"}, "first: got '3', want text"),
        ({"first": "a", "second": "b", "how": "much"}, "how: got 'much', want a number"),
    ],
)
def test_a_row_that_is_no_pair_is_named_or_left_out(
    tmp_path: Path, row: dict[str, Any], says: str
) -> None:
    path = write(tmp_path, [*many(), {"how": 1, **row}])
    with pytest.raises(InputError, match=f"line 41: {says}"):
        read(path, score="how")
    assert len(read(path, score="how", on_broken="skip").skipped) == 1


def test_too_few_pairs_and_unknown_columns(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="got 29 pairs, want 30 or more"):
        read(write(tmp_path, many(29)))
    with pytest.raises(InputError, match="got no column 'frist'") as caught:
        read(write(tmp_path, many()), first="frist")
    assert "first" in caught.value.hint
