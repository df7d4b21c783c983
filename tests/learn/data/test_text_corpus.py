"""Running text in blocks: what follows is what follows, no place is in two splits, all bytes are counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.data import text_corpus
from edgekd.learn.data.blocks import TokenStream
from edgekd.learn.data.blocks import divide_parts
from edgekd.learn.data.encoding import ByteEncoding
from edgekd.learn.data.encoding import EncodedDocument
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound

ENCODING = ByteEncoding()


def encode(*texts: str) -> TokenStream:
    stream = TokenStream(ENCODING.separator)
    for document in ENCODING.encode_documents(texts):
        stream.append(document)
    return stream


def tell(tokens: np.ndarray) -> str:
    return bytes((np.asarray(tokens) - 1).tolist()).decode()


def read(path: Path, **knobs: Any) -> Source:
    return require_sound(text_corpus.read(reference=str(path), **knobs), "text-corpus")


def told(rows: RaggedRows) -> list[str]:
    return [tell(row) for row in rows]


def test_packed_blocks_are_of_one_length_and_go_on_where_the_last_ended() -> None:
    stream = encode("abc", "defgh", "ij")
    blocks = stream.pack(stream.parts, 4)
    assert told(blocks.tokens) == ["abc\n", "defg"]
    assert told(blocks.following) == ["bc\nd", "efgh"]
    assert blocks.sizes.tolist() == [4, 4]
    assert np.shares_memory(blocks.tokens.values, blocks.following.values)
    none = stream.parts[:0]
    assert len(stream.pack(none, 4).tokens) == len(stream.cut(none, 4).tokens) == 0


def test_of_a_document_by_itself_every_token_but_the_first_follows_once() -> None:
    stream = encode("abcdefg", "x", "yz")
    blocks = stream.cut(stream.parts, 3)
    assert told(blocks.tokens) == ["abc", "def", "y"]
    assert told(blocks.following) == ["bcd", "efg", "z"]
    sized = TokenStream(ENCODING.separator)
    sizes = np.array([9, 1, 2, 70_000, 4])
    sized.append(EncodedDocument(np.arange(1, 6, dtype=np.int32), sizes))
    assert sized.cut(sized.parts, 3).sizes.tolist() == [1 + 2 + 70_000, 4]
    assert sized.pack(sized.parts, 2).sizes.tolist() == [3, 70_004]


@pytest.mark.parametrize("seed", range(20))
def test_blocks_are_those_of_a_loop_over_documents(seed: int) -> None:
    draw = np.random.default_rng(seed)
    documents = [
        EncodedDocument(draw.integers(0, 99, length).astype(np.int32), draw.integers(0, 9, length))
        for length in draw.integers(1, 12, 8)
    ]
    separator = EncodedDocument(np.array([99], np.int32)[: seed % 2], np.zeros(seed % 2, np.int64))
    stream = TokenStream(separator)
    for document in documents:
        stream.append(document)
    length = int(draw.integers(1, 6))
    seen, following, sizes = [], [], []
    for tokens, each in documents:
        for at in range(0, len(tokens) - 1, length):
            seen.append(tokens[at : min(at + length, len(tokens) - 1)].tolist())
            following.append(tokens[at + 1 : at + length + 1].tolist())
            sizes.append(int(each[at + 1 : at + length + 1].sum()))
    cut = stream.cut(stream.parts, length)
    assert [row.tolist() for row in cut.tokens] == seen
    assert [row.tolist() for row in cut.following] == following
    assert cut.sizes.tolist() == sizes
    joined = [x for d in documents for x in (*separator.tokens.tolist(), *d.tokens.tolist())]
    joined = joined[len(separator.tokens) :]
    packed = stream.pack(stream.parts, length)
    starts = range(0, (len(joined) - 1) // length * length, length)
    assert [row.tolist() for row in packed.tokens] == [joined[at : at + length] for at in starts]
    assert [row.tolist() for row in packed.following] == [
        joined[at + 1 : at + length + 1] for at in starts
    ]


def test_no_place_is_in_two_splits() -> None:
    stream = encode("abcdefghij", "klmnopqrst")
    found = divide_parts(stream.parts, 0.2, 0.1)
    assert {
        name: [tell(stream.tokens[slice(*part)]) for part in parts] for name, parts in found.items()
    } == {"train": ["abcdefghij", "klmn"], "validation": ["opqr"], "test": ["st"]}
    one = encode("abcdefghij")
    shared = divide_parts(one.parts, 0.3, 0.3).values()
    assert [each.tolist() for each in shared] == [[[0, 4]], [[4, 7]], [[7, 10]]]


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
    rows = tmp_path / "a.jsonl"
    rows.write_text('{"text": "good text"}\n' * 30 + '{"text": "half \\ud800 of it"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl, line 31: got half a character"):
        read(rows, longest=8)
    assert len(read(rows, longest=8, on_broken="skip").skipped) == 1


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
