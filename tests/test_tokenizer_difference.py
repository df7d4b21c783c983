"""Whether two tokenizers make the same tokens, and where they differ first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgekd.errors import InputError
from edgekd.tokenizer_difference import find_tokenizer_difference
from tests.tokenizer_example import change
from tests.tokenizer_example import pieces

WORDS: dict[str, int] = json.loads(pieces())["model"]["vocab"]
SWAPPED = WORDS | {"cat": WORDS["bob"], "bob": WORDS["cat"]}


def test_what_makes_no_other_tokens_is_passed_over() -> None:
    same = change(pieces(), truncation=None, padding={"length": 3}, decoder=None, version="2")
    assert same != pieces()
    assert find_tokenizer_difference(pieces(), same) == ""


@pytest.mark.parametrize(
    "parts, want",
    [
        ({"model__vocab": SWAPPED}, "the token of 10: 'bob' and 'cat'"),
        ({"model__vocab": WORDS | {"dog": len(WORDS)}}, f"the token of {len(WORDS)}: 'none'"),
        ({"model__type": "WordLevel"}, 'model.type: "WordPiece" and "WordLevel"'),
        ({"normalizer__lowercase": False}, "normalizer: "),
        ({"pre_tokenizer__type": "Whitespace"}, "pre_tokenizer: "),
        ({"post_processor": None}, "post_processor: "),
        ({"model__max_input_chars_per_word": 7}, "model.max_input_chars_per_word: "),
        ({"model__fuse_unk": True}, "model.fuse_unk: "),
        ({"model__ignore_merges": True}, "model.ignore_merges: "),
        ({"model__unk_id": 0}, "model.unk_id: null and 0"),
        ({"added_tokens": []}, "added_tokens: 4 and 0"),
    ],
)
def test_the_first_difference_is_named(parts: dict[str, Any], want: str) -> None:
    assert find_tokenizer_difference(pieces(), change(pieces(), **parts)).startswith(want)


def test_merges() -> None:
    one = change(pieces(), model__merges=["a b", "c d"])
    assert (
        find_tokenizer_difference(one, change(pieces(), model__merges=[["a", "b"], ["c", "d"]]))
        == ""
    )
    other = change(pieces(), model__merges=["a b", "d c"])
    assert find_tokenizer_difference(one, other) == "merge 1: 'c d' and 'd c'"
    assert find_tokenizer_difference(one, change(pieces(), model__merges=[])) == "merges: 2 and 0"


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"model": 1}', b"[" * 100_000])
def test_what_is_no_tokenizer(data: bytes) -> None:
    with pytest.raises(InputError, match="want a tokenizer.json"):
        find_tokenizer_difference(pieces(), data)


@pytest.mark.parametrize("parts", [{"model__merges": 5}, {"added_tokens": True}])
def test_lists_that_are_none(parts: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="want a list"):
        find_tokenizer_difference(pieces(), change(pieces(), **parts))
