"""Texts as tokens of a tokenizer.json: the words, sizes and cuts that sources tell of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.fields.tokens import Tokens
from edgekd.learn.data import encoding as encoding_of
from edgekd.learn.data import jsonl
from edgekd.learn.data import tagged_text
from edgekd.learn.data import text_corpus
from edgekd.learn.data import text_csv
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.source import Source
from tests.tokenizer_example import TEXTS
from tests.tokenizer_example import byte_pairs
from tests.tokenizer_example import change
from tests.tokenizer_example import pieces


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "tokenizer.json").write_bytes(pieces())
    (tmp_path / "bytes.json").write_bytes(byte_pairs())
    return tmp_path


def field(source: Source) -> Tokens:
    rows = source.splits["train"]["text"]
    return Tokens.describe(rows, np.arange(len(rows)), **source.fields["text"].words)


def test_sizes_are_those_of_the_text_to_the_last_byte(folder: Path) -> None:
    encoding = open_encoding("bytes.json", folder)
    for text in (*TEXTS, "日本 🙂 zoë", "a\n\n b"):
        (found,) = encoding.encode_documents([f"  {text}\n"])
        assert len(found.tokens) == len(found.sizes) and (found.sizes >= 0).all()
        assert found.sizes.sum() == len(text.encode())
    (lowered,) = open_encoding("words", folder).encode_documents(["Zoë left, Rome"])
    assert lowered.sizes.sum() == len("Zoë left, Rome".encode())
    assert len(lowered.sizes) == 4  # no special tokens; the comma is unknown


def test_long_texts_are_encoded_in_pieces_that_end_with_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding = open_encoding("bytes.json", folder)
    texts = ["Zoë left\nAda met\nBob " * 9, "met " * 30, "x", ""]
    whole = encoding.encode_documents(texts)
    monkeypatch.setattr(encoding_of, "MOST_PIECE", 20)
    for one, parts, text in zip(whole, encoding.encode_documents(texts), texts, strict=True):
        assert parts.sizes.sum() == len(text.strip().encode())
        if "\n" in text:
            assert parts.tokens.tolist() == one.tokens.tolist()
            assert parts.sizes.tolist() == one.sizes.tolist()


@pytest.mark.parametrize("name", ["words", "bytes.json"])
def test_the_first_piece_of_a_word_bears_its_tag(folder: Path, name: str) -> None:
    encoding = open_encoding(name, folder)
    words = ["Ada", "Lovelace", "unbelievable", "slept"]
    found = encoding.encode_words(words, 50)
    assert len(found.firsts) == 4 and sorted(set(found.firsts)) == found.firsts
    library = encoding.tokenizer  # type: ignore[union-attr]
    for word, at in zip(words, found.firsts, strict=True):
        spelled = library.decode([int(found.tokens[at])]).strip()
        assert word.lower().startswith(spelled.lower())
    short = encoding.encode_words(words, 4)
    assert short.is_cut and len(short.tokens) == 4 and 0 < len(short.firsts) < 4


@pytest.mark.parametrize(
    "words", [["\u200b", "Ada"], ["Ada", "\u0301"], ["Ada", "\x00", "met", "Bob"]]
)
def test_a_word_that_is_cleaned_away_gives_its_tag_to_no_other(
    folder: Path, words: list[str]
) -> None:
    encoding = open_encoding("words", folder)
    with pytest.raises(
        ValueError, match=r"got word \d, .*, of which the tokenizer leaves no token"
    ):
        encoding.encode_words(words, 50)


@pytest.mark.parametrize("name", ["words", "bytes.json"])
def test_every_source_of_texts_takes_a_tokenizer(folder: Path, name: str) -> None:
    lines = [{"text": text, "label": "ab"[n % 2]} for n, text in enumerate(TEXTS * 3)]
    (folder / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "t.csv").write_text(
        "text,label\n" + "".join(f"{x['text']},{x['label']}\n" for x in lines)
    )
    tagged = [{"tokens": t.split(), "tags": ["B", *"O" * (len(t.split()) - 1)]} for t in TEXTS]
    (folder / "w.jsonl").write_text("".join(json.dumps(line) + "\n" for line in tagged))
    (folder / "c.txt").write_text("\n".join(TEXTS * 20))
    given = {"tokenizer": name, "data_dir": folder}
    sources = [
        jsonl.read(reference="t.jsonl", **given),  # type: ignore[arg-type]
        text_csv.read(reference="t.csv", **given),  # type: ignore[arg-type]
        tagged_text.read(reference="w.jsonl", **given),  # type: ignore[arg-type]
        text_corpus.read(reference="c.txt", longest=8, **given),  # type: ignore[arg-type]
    ]
    first = [source.splits["train"]["text"].row(0).tolist() for source in sources]  # type: ignore[union-attr]
    assert first[0] == first[1] == first[2]
    for source in sources:
        described = field(source)
        described.check(source.splits["train"]["text"], "train")
        assert source.tokenizer and described.encoding == "tokenizer"
        assert Tokens.from_json(described.to_json()) == described
    assert [
        module.files(reference="t.jsonl", **given)[1].is_file() for module in (jsonl, text_csv)
    ] == [True] * 2  # type: ignore[arg-type]
    around = [special for special in first[0] if special in (2, 3)]
    assert len(around) == (2 if name == "words" else around.count(2) + around.count(3))
    assert not field(sources[3]).special  # running text has none


def test_a_field_with_its_tokenizer_reads_shows_and_cuts_text(folder: Path) -> None:
    encoding = open_encoding("words", folder)
    said = encoding.describe(5)
    known = Tokens(usual=4, tokenizer_file=encoding.file, **said)
    rows = known.read(b" Ada Lovelace slept \n")
    assert [row.tolist() for row in rows] == [[2, 4, 5, 6, 3]]
    assert known.describe_cut(
        b"Ada Lovelace slept"
    ) == "cut to 5 of 6 tokens" and not known.describe_cut(b"Ada")
    assert known.preview(rows) == "ada lovelace"
    assert [word.text for word in known.find_words(np.array([2, 4, 5, 6, 3]))] == [
        "ada",
        "lovelace",
    ]
    assert [word[:2] for word in known.find_words(np.array([2, 4, 5, 6, 3]))] == [(1, 1), (2, 3)]
    with pytest.raises(InputError, match="got text, and its tokenizer is not here"):
        Tokens(usual=4, **said).read(b"Ada")
    with pytest.raises(ValueError, match="another tokenizer than the data were made with"):
        Tokens(usual=4, tokenizer_file=byte_pairs(), **said)
    with pytest.raises(ValueError, match="tokenizer"):
        Tokens.from_json({**known.to_json(), "tokenizer_file": "x"})
    with pytest.raises(ValueError, match="for encoding"):
        Tokens.from_json({**known.to_json(), "encoding": "bytes", "vocabulary": 257})


def test_a_tokenizer_that_is_none_is_refused_by_its_file(folder: Path) -> None:
    (folder / "hostile.json").write_bytes(change(pieces(), model__type="Mine"))
    with pytest.raises(InputError, match=r"hostile\.json: model\.type: got 'Mine'"):
        open_encoding("hostile.json", folder)
    with pytest.raises(InputError, match="got nothing"):
        open_encoding("nowhere.json", folder)
    with pytest.raises(InputError, match="got nothing"):
        open_encoding(str(folder), None)  # a folder without one
