"""Words with tags: the first byte of a word bears its tag; what does not line up is refused by its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import InputError
from edgekd.learn.data import tagged_text
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound

ADA: dict[str, Any] = {"tokens": ["Ada", "slept"], "tags": ["B-PER", "O"]}


def write(folder: Path, *lines: dict[str, Any] | str) -> Path:
    path = folder / "texts.jsonl"
    path.write_text(
        "".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in lines)
    )
    return path


def read(path: Path, **knobs: Any) -> Source:
    return require_sound(tagged_text.read(reference=str(path), **knobs), "tagged-text")


def tell(source: Source, split: str = "train") -> list[tuple[str, list[tuple[str, str]]]]:
    """Every text, and its words that have a tag, each with it."""
    names = source.fields["tags"].words["names"]
    found = []
    for row, tags in zip(source.splits[split]["text"], source.splits[split]["tags"], strict=True):
        text = bytes((row - 1).tolist())
        places = [at for at, tag in enumerate(tags.tolist()) if tag >= 0]
        words = [(text[at:].split()[0].decode(), names[tags[at]]) for at in places]
        found.append((text.decode(), words))
    return found


def test_the_first_byte_of_a_word_bears_its_tag(tmp_path: Path) -> None:
    source = read(
        write(tmp_path, ADA, {"tokens": ["Zoë", "und", "Bo"], "tags": ["B-PER", "O", "B-PER"]})
    )
    assert tell(source) == [
        ("Ada slept", [("Ada", "B-PER"), ("slept", "O")]),
        ("Zoë und Bo", [("Zoë", "B-PER"), ("und", "O"), ("Bo", "B-PER")]),
    ]
    assert source.fields["tags"].words["names"] == ("O", "B-PER")
    assert source.fields["text"].words == {"vocabulary": 257, "longest": 11, "encoding": "bytes"}
    assert source.notes == ("2 texts of 5 words, 2 tags",)


def test_columns_of_conll(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("-DOCSTART- -X- O O\n\nAda NNP B-PER\nslept VBD O\n\n\nBo NNP B-PER\n")
    assert [words for _, words in tell(read(path))] == [
        [("Ada", "B-PER"), ("slept", "O")],
        [("Bo", "B-PER")],
    ]


def test_a_word_that_is_cut_off_loses_its_tag_and_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, ADA, {"tokens": ["Bo"], "tags": ["O"]})
    source = read(path, longest=4)
    assert tell(source)[0] == ("Ada ", [("Ada", "B-PER")])
    assert source.notes[0].endswith("; 1 text cut to 4 bytes")


def test_a_tag_that_training_lacks_is_refused(tmp_path: Path) -> None:
    other = {"tokens": ["a"], "tags": ["X"], "split": "test"}
    with pytest.raises(InputError, match="line 2: got tag 'X', want one that is in training"):
        read(write(tmp_path, {**ADA, "split": "train"}, other))


def test_splits_and_whole_numbers(tmp_path: Path) -> None:
    rows = [("train", [0, 1]), ("test", [1, 1])]
    path = write(tmp_path, *({"w": ["a", "b"], "y": y, "split": split} for split, y in rows))
    source = read(path, tokens="w", tags="y")
    assert source.fields["tags"].words["names"] == ("0", "1") and set(source.splits) == {
        "train",
        "test",
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "got 2 tokens and 1 tags, want as many of each"),
        ({"tokens": [], "tags": []}, r"tokens: got '\[\]', want a list of some"),
        ({"tokens": "a b", "tags": ["O"]}, "tokens: got 'a b', want a list"),
        ({"tags": ["O"]}, "tokens: got 'None', want a list"),
        ({"tokens": ["a", 3], "tags": ["O", "O"]}, "tokens: got words that are not text"),
        ({"tokens": ["a", " "], "tags": ["O", "O"]}, "got word 1 without a character"),
        (
            {"tokens": ["a"], "tags": [1.5]},
            "tags: got tags that are neither text nor whole numbers",
        ),
        ({"tokens": ["a"], "tags": ["O" * 300]}, "tags: got tags"),
        ({"tokens": ["a"], "tags": ["B-\x07"]}, "tags: got the name 'B-"),
        ('{"tokens": ["\\ud800"], "tags": ["O"]}', "tokens: got half a character"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_or_left_out(
    tmp_path: Path, line: dict[str, Any] | str, says: str
) -> None:
    path = write(tmp_path, ADA, line)
    with pytest.raises(InputError, match=f"line 2: {says}") as caught:
        read(path)
    assert "\n" not in str(caught.value) and "on_broken" in caught.value.hint
    source = read(path, on_broken="skip")
    assert len(tell(source)) == 1 and len(source.skipped) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Ada\n", "line 1: got 'Ada' alone, want a word and its tag"),
        ("\n\n", "got no texts, want some"),
        ("Ada O\n", "got O to train on, want texts with two tags or more"),
    ],
)
def test_columns_that_cannot_be_used(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "train.conll"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        read(path)


def test_tags_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagged_text, "MOST_CLASSES", 2)
    with pytest.raises(InputError, match="got 3 tags, want at most 2"):
        read(write(tmp_path, {"tokens": ["a", "b", "c"], "tags": ["O", "X", "Y"]}))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_bytes(b"Ada O\n\xff\xfe O\n")
    with pytest.raises(InputError, match="line 2: got bytes that are not UTF-8"):
        read(path)


def test_lines_packed_by_gzip_are_the_same_texts(tmp_path: Path) -> None:
    plain = write(tmp_path, ADA, {"tokens": ["Bo"], "tags": ["B-PER"]})
    packed = tmp_path / "texts.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    wanted, found = read(plain), read(packed)
    assert found.notes == wanted.notes
    assert tell(found) == tell(wanted)
