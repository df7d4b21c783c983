"""Running text in blocks: what follows is what follows, no place is in two splits, all bytes are counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.data import text_corpus
from edgekd.learn.data.blocks import cut_documents
from edgekd.learn.data.blocks import divide_documents
from edgekd.learn.data.blocks import pack_documents
from edgekd.learn.data.encoding import ByteEncoding
from edgekd.learn.data.encoding import EncodedDocument
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound

ENCODING = ByteEncoding()


def encode(*texts: str) -> list[EncodedDocument]:
    return [ENCODING.encode_document(text) for text in texts]


def tell(tokens: np.ndarray) -> str:
    return bytes((np.asarray(tokens) - 1).tolist()).decode()


def read(path: Path, **knobs: Any) -> Source:
    return require_sound(text_corpus.read(reference=str(path), **knobs), "text-corpus")


def test_packed_blocks_are_of_one_length_and_go_on_where_the_last_ended() -> None:
    blocks = pack_documents(encode("abc", "defgh", "ij"), ENCODING.separator, 4)
    assert [tell(block.tokens) for block in blocks] == ["abc\n", "defg"]
    assert [tell(block.following) for block in blocks] == ["bc\nd", "efgh"]
    assert [block.size_bytes for block in blocks] == [4, 4]
    assert pack_documents([], ENCODING.separator, 4) == []


def test_of_a_document_by_itself_every_token_but_the_first_follows_once() -> None:
    blocks = cut_documents(encode("abcdefg", "x", "yz"), 3)
    assert [(tell(b.tokens), tell(b.following)) for b in blocks] == [
        ("abc", "bcd"),
        ("def", "efg"),
        ("y", "z"),
    ]
    sizes = EncodedDocument(np.arange(1, 6, dtype=np.int32), np.array([9, 1, 2, 3, 4]))
    assert [block.size_bytes for block in cut_documents([sizes], 3)] == [6, 4]


def test_no_place_is_in_two_splits() -> None:
    found = divide_documents(encode("abcdefghij", "klmnopqrst"), 0.2, 0.1)
    assert {name: [tell(each.tokens) for each in parts] for name, parts in found.items()} == {
        "train": ["abcdefghij", "klmn"],
        "validation": ["opqr"],
        "test": ["st"],
    }
    (one,) = encode("abcdefghij")
    found = divide_documents([one], 0.3, 0.3)
    assert [tell(part.tokens) for each in found.values() for part in each] == ["abcd", "efg", "hij"]


def test_a_folder_of_texts_whatever_their_names(tmp_path: Path) -> None:
    texts = {f"{number}": f"text number {number} " * 20 for number in range(12)}
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    source = read(tmp_path, longest=16, packed=False)
    assert set(source.splits) == {"train", "validation", "test"}
    assert (
        source.notes[0].startswith("12 documents in ")
        and "each document by itself" in source.notes[0]
    )
    rows = source.splits["train"]
    assert [each.tolist() for each in rows["text"]][0][1:] == next(
        iter(rows["next_tokens"])
    ).tolist()[:-1]
    assert rows["text_bytes"][:, 0].tolist() == rows["next_tokens"].lengths.tolist()
    for name in texts:  # named otherwise, the same splits
        (tmp_path / f"{name}.txt").rename(tmp_path / f"other{name}.md")
    again = read(tmp_path, longest=16, packed=False)
    assert (
        again.splits["test"]["text"].values.tolist()
        == source.splits["test"]["text"].values.tolist()
    )


def test_a_list_says_its_splits_and_text(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    lines = [("train", "one text here"), ("test", "another text")]
    path.write_text("".join(json.dumps({"text": t, "split": s}) + "\n" for s, t in lines))
    source = read(path, longest=4)
    packed = tmp_path / "packed.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for name, rows in read(packed, longest=4).splits.items():
        assert rows["text"].values.tolist() == source.splits[name]["text"].values.tolist()
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"packed\.jsonl\.gz: cannot be read"):
        read(packed)
    assert set(source.splits) == {"train", "test"}
    assert [tell(row) for row in source.splits["test"]["text"]] == ["anot", "her "]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe text", "texts.txt: got byte 0xff at 0, which is no UTF-8, want text in UTF-8"),
        (b"  \n", "texts.txt: got no text, want some"),
        (b"short", "split: got"),
    ],
)
def test_text_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, content: bytes, says: str
) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_what_is_broken_is_left_out_where_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"good text " * 30)
    (tmp_path / "b.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"b\.txt: got byte 0xff"):
        read(tmp_path, longest=8)
    assert len(read(tmp_path, longest=8, on_broken="skip").skipped) == 1


def test_nothing_outside_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("secret")
    inside = tmp_path / "texts"
    inside.mkdir()
    with pytest.raises(InputError, match="got 0 texts, want 1 to 100000 files"):
        read(inside)
    (inside / "a.txt").symlink_to(tmp_path / "other.txt")
    with pytest.raises(InputError, match="got no regular file inside"):
        read(inside)


@pytest.mark.parametrize("shares", [(0.0, 0.1), (0.5, 0.5), (0.1, 0.0)])
def test_every_split_has_a_share(tmp_path: Path, shares: tuple[float, float]) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(InputError, match="want shares above 0, together below 1"):
        read(tmp_path, validation=shares[0], test=shares[1])
