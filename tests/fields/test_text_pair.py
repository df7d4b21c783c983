"""Two texts as one row: what a model is told of both, and what people write."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from edgekd import fields
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.text_pair import TextPair
from edgekd.fields.text_pair import encode_byte_pair
from edgekd.tokenizer import load_tokenizer
from tests.tokenizer_example import pair_pieces

BYTES = TextPair(vocabulary=257, usual=9, longest=12, encoding="bytes", types=2)


def with_tokenizer(longest: int = 12) -> TextPair:
    made = load_tokenizer(pair_pieces(), "tokenizer.json")
    return TextPair(
        vocabulary=made.vocabulary,
        usual=6,
        longest=longest,
        encoding="tokenizer",
        tokenizer=made.digest,
        tokenizer_file=made.data,
        types=2,
    )


def cut_slowly(first: bytes, second: bytes, longest: int) -> tuple[bytes, bytes]:
    """A byte at a time from the longer, as the tokenizers library leaves them: of two equals the first loses one first."""
    while len(first) + len(second) + 1 > longest:
        if len(first) >= len(second):
            first = first[:-1]
        else:
            second = second[:-1]
    return first, second


@pytest.mark.parametrize("longest", [3, 8, 9, 12, 40])
@pytest.mark.parametrize(
    "pair", [("abcdef", "gh"), ("ab", "cdefgh"), ("abcdefgh", "ijklmnop"), ("a", "b")]
)
def test_of_bytes_the_longer_text_is_cut_first(pair: tuple[str, str], longest: int) -> None:
    tokens, length = encode_byte_pair(*pair, longest)
    assert length == len(pair[0]) + 1 + len(pair[1])
    types, bytes_ = tokens // 257, (tokens % 257 - 1).astype(np.uint8).tobytes()
    first, second = bytes_[: int((types == 0).sum())], bytes_[int((types == 0).sum()) :]
    want = cut_slowly(pair[0].encode(), pair[1].encode(), longest)
    assert first.endswith(b"\n") and (types[:-1] <= types[1:]).all()
    got = sorted((len(first) - 1, len(second)))
    assert got == sorted(map(len, want))
    assert pair[0].encode().startswith(first[:-1]) and pair[1].encode().startswith(second)


def test_a_model_is_told_tokens_mask_and_types() -> None:
    assert [end.name for end in BYTES.tensors("text")] == ["text", "text_mask", "text_types"]
    assert BYTES.tensors("text")[2].below == 2
    rows = from_rows(
        [encode_byte_pair(*pair, 12)[0] for pair in (("ab", "cde"), ("x", "y"))],
        np.zeros(0, np.int32),
    )
    BYTES.check(rows, "here")
    made = BYTES.prepare("text", rows)
    assert list(made) == ["text", "text_mask", "text_types"]
    assert made["text_types"].tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 1, 0, 0, 0]]
    assert made["text_mask"].sum(1).tolist() == [6, 3]
    assert made["text"][1].tolist() == [ord("x") + 1, ord("\n") + 1, ord("y") + 1, 0, 0, 0]
    assert BYTES.preview(rows) == "ab\ncde"
    assert [word.text for word in BYTES.find_words(rows.row(0))] == ["ab", "cde"]
    assert {each.dtype for each in made.values()} == {np.dtype(np.int64)}


def test_without_types_a_model_is_told_none() -> None:
    plain = TextPair(vocabulary=257, usual=9, longest=12, encoding="bytes", types=1)
    assert [end.name for end in plain.tensors("text")] == ["text", "text_mask"]
    assert plain.sizes() == {"vocabulary": 257, "longest": 12, "types": 1}


def test_a_tokenizer_joins_them_as_its_own_file_says() -> None:
    field = with_tokenizer()
    library = Tokenizer.from_str(pair_pieces().decode())
    library.no_truncation()
    for pair in (("Ada met Bob", "the unbelievable cat slept"), ("Zoë left Oslo", "rome")):
        want = library.encode(*pair)
        made = field.prepare("text", field.read(json.dumps(pair).encode()))
        assert made["text"][0].tolist() == want.ids
        assert made["text_types"][0].tolist() == want.type_ids
    assert set(want.type_ids) == {0, 1}
    short = with_tokenizer(7)
    library.enable_truncation(7, strategy="longest_first")
    want = library.encode("Ada met Bob in Rome", "the cat slept")
    asked = b'{"first": "Ada met Bob in Rome", "second": "the cat slept"}'
    made = short.prepare("text", short.read(asked))
    assert made["text"][0].tolist() == want.ids and made["text_types"][0].tolist() == want.type_ids
    assert short.describe_cut(asked) == "cut to 7 of 11 tokens"


def test_json_of_a_field_is_read_again() -> None:
    told = BYTES.to_json()
    assert (told["kind"], told["types"]) == ("text-pair", 2)
    assert fields.from_json(told) == BYTES
    with pytest.raises(ValueError, match="types 99, want a whole number from 1 to 16"):
        fields.from_json({**told, "types": 99})


@pytest.mark.parametrize("row", [[-1], [514], [257 * 2]])
def test_other_tokens_or_types_are_refused(row: list[int]) -> None:
    rows = RaggedRows(np.array(row, np.int32), np.array([0, 1]))
    with pytest.raises(InputError, match=f"here: got token and type {row[0]}, want 0 to 513"):
        BYTES.check(rows, "here")


@pytest.mark.parametrize(
    "asked",
    [
        b"plain",
        b"[1, 2]",
        b'["one"]',
        b'["a", "b", "c"]',
        b'{"first": "a"}',
        b'["a", " "]',
        b"\xff",
        b"[" * 10_000,
    ],
)
def test_what_is_no_pair_is_refused_in_a_line(asked: bytes) -> None:
    with pytest.raises(InputError) as caught:
        BYTES.read(asked)
    assert "\n" not in caught.value.line() and len(caught.value.line()) < 300


def test_room_for_nothing_is_refused() -> None:
    small: dict[str, Any] = {
        "vocabulary": 257,
        "usual": 2,
        "longest": 2,
        "encoding": "bytes",
        "types": 2,
    }
    with pytest.raises(InputError, match="want 3 or more"):
        TextPair(**small).read(b'["a", "b"]')
