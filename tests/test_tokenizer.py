"""A tokenizer.json is data of strangers: what is sound answers as the library does, what is not is refused in a line."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from edgekd import tokenizer
from edgekd.errors import InputError
from edgekd.tokenizer import load_tokenizer
from tests.tokenizer_example import byte_pairs
from tests.tokenizer_example import change
from tests.tokenizer_example import pieces


def test_tokens_are_those_of_the_library_whatever_length_the_file_says() -> None:
    found = load_tokenizer(pieces(), "t.json")
    assert (found.vocabulary, found.padding, found.end) == (21, 0, 3)
    whole = found.encode("Ada Lovelace slept.")
    assert whole.tokens == (2, 4, 5, 6, 7, 20, 3) and not whole.is_cut
    assert whole.spans[1:4] == ((0, 3), (4, 8), (8, 12))
    cut = found.encode("Ada Lovelace slept.", 4)
    assert cut.tokens == (2, 4, 5, 3) and cut.is_cut  # what ends a text still ends it
    assert found.encode("Ada Lovelace slept.").tokens == whole.tokens
    assert found.encode("Ada", special=False).tokens == (4,)
    assert found.decode([2, 4, 5, 6, 3]) == "ada lovelace"
    assert [found.begins_word(token) for token in (4, 5, 6, 2)] == [True, True, False, False]


def test_pairs_of_bytes_give_any_text_back() -> None:
    found = load_tokenizer(byte_pairs(), "t.json")
    for text in ("Ada met Bob", "Zoë 🙂\n\tunbelievable", "日本"):
        tokens = found.encode(text).tokens
        assert found.decode(list(tokens)) == text and max(tokens) < found.vocabulary
    assert found.end == 0 and found.special == {0}
    assert found.begins_word(found.encode("a met").tokens[-1])


@pytest.mark.parametrize("longest", [1, 2])
def test_no_room_for_a_token_is_refused(longest: int) -> None:
    found = load_tokenizer(pieces(), "t.json")
    if longest == 2:
        assert found.encode("Ada met", 2).tokens == (2, 3)
        return
    with pytest.raises(
        InputError, match="longest: got 1, want room for the 2 tokens around a text"
    ):
        found.encode("Ada met", longest)
    assert found.encode("Ada").tokens == (2, 4, 3)


PATTERN = {"type": "Split", "pattern": {"Regex": "(a+)+b"}, "behavior": "Isolated", "invert": False}
CALLS_ITSELF = {**PATTERN, "pattern": {"Regex": r"(?<x>a|a\g<x>|a\g<x>)$"}}
DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
DOUBLES = {"type": "Sequence", "normalizers": [DOUBLE] * 40}
SPELL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
SPELLS = {"type": "Sequence", "pretokenizers": [SPELL] * 40}
TEXT = {"Sequence": {"id": "A", "type_id": 0}}
AROUND = {"type": "BertProcessing", "sep": ["[SEP]", 99], "cls": ["[CLS]", 2]}
WORDS = {
    "type": "WordLevel",
    "vocab": {"a": 0, "b": 1},
    "unk_token": "[NO-SUCH]",
}
ADDED = {
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": False,
}
DEEP: Any = "x"
for _ in range(30):
    DEEP = {"normalizers": [DEEP]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff", "got no JSON"),
        (b"[]", "got JSON without a model"),
        (b'{"model": 3}', "got JSON without a model"),
        (b"[" * 100_000, "got no JSON"),
        (b'{"model": {"type": "BPE", "type": "BPE"}}', "got no JSON: a key stands twice"),
        (change(pieces(), model__type="Mine"), "model.type: got 'Mine', want BPE, WordPiece"),
        (change(pieces(), model__vocab=3), "model.vocab: got int, want the tokens"),
        (change(pieces(), model__vocab={}, added_tokens=[]), "got no token"),
        (change(pieces(), model__vocab={"a": -1}), "model.vocab: got -1, want numbers below"),
        (change(pieces(), model__vocab={"a": 2**40}), "want numbers below"),
        (
            change(pieces(), model__vocab={"a": 0, "b": 1, "c": 1}),
            "model.vocab: got number 1 for 'b' and 'c', want one of its own for each",
        ),
        (change(pieces(), model__vocab={"a": "b"}), "model.vocab: got b, want numbers below"),
        (change(pieces(), added_tokens=[{"content": "[X]"}]), r"got '\[X\]' without a number"),
        (change(pieces(), added_tokens=3), "added_tokens: want a list"),
        (change(pieces(), model__dropout=0.1), "model.dropout: got 0.1, want none"),
        (
            change(
                pieces(), post_processor__special_tokens={"[CLS]": {"id": "[CLS]", "ids": [99]}}
            ),
            r"post_processor: got '\[CLS\]' with number 99, want one of the vocabulary",
        ),
        (change(pieces(), post_processor__special_tokens={"[CLS]": {}}), "with number None"),
        (change(pieces(), pre_tokenizer=PATTERN), "want one without repeated groups"),
        (change(pieces(), normalizer=DEEP), "got parts that nest too deeply"),
        (change(pieces(), normalizer={"type": "Nobody"}), "the library cannot build it"),
        (change(pieces(), model__unk_token=7), "the library cannot build it"),
        (change(pieces(), pre_tokenizer=CALLS_ITSELF), "want one without repeated groups"),
        (change(pieces(), normalizer=DOUBLES), "normalizer: got parts that make a text grow"),
        (change(pieces(), pre_tokenizer=SPELLS), "pre_tokenizer: got parts that make a text grow"),
        (change(pieces(), post_processor__single=[TEXT, TEXT]), "2 times the text, want it once"),
        (change(pieces(), post_processor=AROUND), r"'\[SEP\]' with number 99"),
        (
            change(
                pieces(), post_processor__special_tokens={"[CLS]": {"id": "[CLS]", "ids": [[1]]}}
            ),
            r"'\[CLS\]' with number \[1\]",
        ),
        (
            change(pieces(), added_tokens=[{**ADDED, "id": 1, "content": "new"}]),
            "token 21 under another number than the library gives it",
        ),
    ],
)
def test_what_is_no_tokenizer_or_might_hang_is_refused_in_one_line(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        load_tokenizer(data, "t.json")
    assert str(caught.value).startswith("t.json: ") and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_panic_of_the_library_is_told_in_our_line_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    broken = {"type": "Precompiled", "precompiled_charsmap": "/////w=="}
    with pytest.raises(InputError, match="the library cannot build it: "):
        load_tokenizer(change(pieces(), normalizer=broken), "t.json")
    sys.stderr.write("still there\n")
    assert capfd.readouterr().err == "still there\n"


@pytest.mark.parametrize(
    ("data", "text", "says"),
    [
        (
            change(pieces(), model=WORDS, added_tokens=[], post_processor=None),
            "zzz",
            r"Missing \[UNK\]",
        ),
        (
            change(pieces(), pre_tokenizer={**PATTERN, "pattern": {"Regex": "a?" * 28 + "a" * 28}}),
            "a" * 28,
            "retry-limit",
        ),
    ],
)
def test_a_text_that_the_library_cannot_take_apart_is_refused_in_one_line(
    data: bytes, text: str, says: str
) -> None:
    found = load_tokenizer(data, "t.json")
    for longest in (None, 3):
        with pytest.raises(InputError, match=says) as caught:
            found.encode(text, longest)
        assert "\n" not in str(caught.value)


def test_a_huge_file_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "MOST_BYTES", 100)
    with pytest.raises(InputError, match="bytes, want at most 100"):
        load_tokenizer(pieces() + b" ", "t.json")


@pytest.mark.parametrize(
    "pattern",
    [
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+",
    ],
)
def test_the_patterns_of_the_usual_models_are_let_in(pattern: str) -> None:
    split = {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }
    found = load_tokenizer(change(byte_pairs(), pre_tokenizer=split), "t.json")
    assert found.vocabulary > 250
