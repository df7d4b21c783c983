"""Texts of which tokens are masked: blocks between the tokens around a text, special ones never asked for; what cannot be."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.data import masked_text
from edgekd.learn.data.blocks import TokenStream
from edgekd.learn.data.encoding import EncodedDocument
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound
from edgekd.tokenizer import load_tokenizer
from tests.tokenizer_example import byte_pairs
from tests.tokenizer_example import change
from tests.tokenizer_example import masked_pieces
from tests.tokenizer_example import pieces

WORDS = ("ada", "bob", "met", "left", "rome", "oslo", "the", "cat")
CLS, SEP, UNKNOWN, IGNORED = 2, 3, 1, -100


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw = random.Random(0)
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(2, 30))) for _ in range(60)]
    Path("texts.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    Path("tokenizer.json").write_bytes(masked_pieces())
    return tmp_path


def read(reference: str = "texts.jsonl", **knobs: Any) -> Source:
    given = {"reference": reference, "tokenizer": "tokenizer.json", "longest": 12, **knobs}
    return require_sound(masked_text.read(**given), "masked-text")


@pytest.mark.parametrize("packed", [True, False])
def test_blocks_stand_between_the_tokens_around_a_text(folder: Path, packed: bool) -> None:
    source = read(packed=packed)
    tokenizer = load_tokenizer(masked_pieces(), "tokenizer.json")
    assert set(source.splits) == {"train", "validation", "test"}
    words = 0
    for rows in source.splits.values():
        for text, asked in zip(rows["text"], rows["masked_tokens"], strict=True):
            assert (text[0], text[-1]) == (CLS, SEP) and 3 <= len(text) <= 12
            assert not packed or len(text) == 12
            special = np.isin(text, [*tokenizer.special])
            assert asked[special].tolist() == [IGNORED] * special.sum()
            assert np.array_equal(asked[~special], text[~special]) and not special.all()
            words += int((~special).sum())
    if not packed:  # every word of every text is there once
        texts = [json.loads(line)["text"] for line in Path("texts.jsonl").read_text().splitlines()]
        assert words == sum(len(text.split()) for text in texts)
    (note,) = source.notes
    assert "60 documents in" in note and "of at most 12 tokens" in note
    facts = source.fields["masked_tokens"].words
    assert facts["special"] == (0, 1, 2, 3, 21) and facts["mask_token"] == 21
    assert source.tokenizer == masked_pieces()


@pytest.mark.parametrize("seed", range(8))
def test_blocks_alone_are_those_of_a_loop(seed: int) -> None:
    draw = np.random.default_rng(seed)
    stream = TokenStream(EncodedDocument(np.array([99], np.int32), np.zeros(1, np.int64)))
    documents = [draw.integers(0, 50, n).astype(np.int32) for n in draw.integers(1, 12, 6)]
    for each in documents:
        stream.append(EncodedDocument(each, np.ones(len(each), np.int64)))
    length = int(draw.integers(1, 6))
    cut = stream.take(stream.parts, length, packed=False)
    want = [d[at : at + length].tolist() for d in documents for at in range(0, len(d), length)]
    assert [row.tolist() for row in cut] == want
    joined = [token for each in documents for token in (99, *each.tolist())][1:]
    packed = stream.take(stream.parts, length, packed=True)
    starts = range(0, len(joined) // length * length, length)
    assert [row.tolist() for row in packed] == [joined[at : at + length] for at in starts]
    none = stream.parts[:0]
    assert len(stream.take(none, length, packed=True)) == 0
    assert len(stream.take(none, 3, packed=False)) == 0


def test_texts_without_a_token_that_can_be_masked_are_left_out(folder: Path) -> None:
    texts = ["ada met bob"] * 8 + ["???? ++"] * 4 + ["[MASK] [SEP] [CLS]"] * 4
    texts = [f"{text} {'the ' * n}" if "ada" in text else text for n, text in enumerate(texts)]
    Path("some.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    source = read("some.jsonl", packed=False, validation=0.3, test=0.3)
    assert "blocks of special tokens alone left out" in source.notes[0]
    for rows in source.splits.values():
        assert all((asked != IGNORED).any() for asked in rows["masked_tokens"])
    for reference, text in (("unknown.txt", "?! " * 90), ("special.txt", "[SEP] [MASK] " * 90)):
        Path(reference).write_text(text)
        with pytest.raises(InputError, match="none of which can be masked"):
            read(reference)


def test_a_mask_in_the_text_itself_is_never_asked_for(folder: Path) -> None:
    Path("masks.txt").write_text("ada [MASK] bob met " * 60)
    rows = read("masks.txt").splits["train"]
    assert (rows["text"].values == 21).any()
    assert (rows["masked_tokens"].values[rows["text"].values == 21] == IGNORED).all()


@pytest.mark.parametrize(
    ("tokenizer", "knobs", "says"),
    [
        (None, {}, "got texts as bytes, which have no mask, want a tokenizer with one"),
        (pieces(), {}, r"got none of \[MASK\], <mask>.* in the vocabulary, want its mask token"),
        (masked_pieces(), {"mask_token": "<hidden>"}, "got '<hidden>' in the vocabulary"),
        (masked_pieces(), {"mask_token": ""}, ""),  # the usual names
        (byte_pairs(), {}, "in the vocabulary, want its mask token"),
        (masked_pieces(), {"longest": 2}, "longest: got 2, want room for the 2 tokens around"),
        (masked_pieces(), {"longest": 500}, "want a block of 498"),
        (masked_pieces(), {"validation": 0.6, "test": 0.5}, "together below 1"),
        (masked_pieces(), {"on_broken": "keep"}, "on_broken: got 'keep'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    folder: Path, tokenizer: bytes | None, knobs: dict[str, Any], says: str
) -> None:
    if tokenizer is not None:
        Path("tokenizer.json").write_bytes(tokenizer)
    given = {"tokenizer": None if tokenizer is None else "tokenizer.json", **knobs}
    if not says:
        assert read(**given)
        return
    with pytest.raises(InputError, match=says) as caught:
        read(**given)
    assert "\n" not in str(caught.value)


def test_any_token_of_the_vocabulary_may_be_named_as_the_mask(folder: Path) -> None:
    Path("tokenizer.json").write_bytes(pieces())
    source = read(mask_token="##able")
    assert source.fields["masked_tokens"].words["mask_token"] == 18
    assert 18 in source.fields["masked_tokens"].words["special"]


def test_a_mask_beyond_the_numbers_that_the_library_gives_is_refused(folder: Path) -> None:
    value = json.loads(masked_pieces())
    value["added_tokens"][-1]["id"] = 900
    vocabulary = {k: v for k, v in value["model"]["vocab"].items() if k != "[MASK]"}
    made = change(json.dumps(value).encode(), model__vocab=vocabulary)
    Path("tokenizer.json").write_bytes(made)
    with pytest.raises(InputError, match="added_tokens|mask token"):
        read()
