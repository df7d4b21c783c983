"""Blocks of a corpus in the tokens of a second tokenizer, against a loop over the texts themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from edgekd.errors import InputError
from edgekd.fields.tags import IGNORED
from edgekd.learn.data import text_corpus
from edgekd.learn.data.paired_blocks import NO_PLACE
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound
from tests.tokenizer_example import byte_pairs
from tests.tokenizer_example import change
from tests.tokenizer_example import pieces

DOCUMENTS = [
    "Ada Lovelace slept in Rome. The unbelievable cat met Bob in Oslo.",
    "Zoë left Oslo — Bob met Ada\nin Rome",
    "Bob",
    "the cat slept in the café in Rome in Oslo",
]
FILES = {"words": pieces(), "pairs": byte_pairs(), "marked": change(pieces(), normalizer=None)}


def read(folder: Path, **knobs: Any) -> Source:
    texts = folder / "texts"
    texts.mkdir(exist_ok=True)
    for number, document in enumerate(DOCUMENTS):
        (texts / f"{number}.txt").write_text(document)
    for name, data in FILES.items():
        (folder / f"{name}.json").write_bytes(data)
    for name in ("tokenizer", "blocks_by"):
        if knobs.get(name):
            knobs[name] = str(folder / f"{knobs[name]}.json")
    made = text_corpus.read(reference=str(texts), validation=0.2, test=0.2, **knobs)
    return require_sound(made, "corpus")


def list_reads(name: str | None, text: str) -> list[tuple[int, int]]:
    """Of each token which bytes of a text it stands for, from the library's own offsets."""
    if name is None:
        return [(at, at + 1) for at in range(len(text.encode()))]
    library = Tokenizer.from_str(FILES[name].decode())
    library.no_truncation()
    spans = library.encode(text, add_special_tokens=False).offsets
    return [(len(text[:a].encode()), len(text[:b].encode())) for a, b in spans]


@pytest.mark.parametrize("longest", [9, 14])
@pytest.mark.parametrize(
    "student, teacher",
    [(None, "words"), (None, "pairs"), ("pairs", "words"), ("words", "pairs"), ("pairs", None)],
)
def test_tokens_are_paired_behind_which_both_have_read_the_same(
    tmp_path: Path, student: str | None, teacher: str | None, longest: int
) -> None:
    knobs: dict[str, Any] = {"longest": longest, "packed": False}
    own = read(tmp_path, tokenizer=student, **knobs)
    other = read(tmp_path, tokenizer=teacher, blocks_by=student or "", **knobs)
    paired = 0
    for split in own.splits:
        mine, theirs, places = (
            own.splits[split]["text"],
            other.splits[split]["text"],
            other.places[split],
        )
        assert len(mine) == len(theirs) == len(places)
        assert places.lengths.tolist() == mine.lengths.tolist()
        for row, answer, partners in zip(mine, theirs, places, strict=True):
            found = [e for text in DOCUMENTS for e in _places(text, row, answer, student, teacher)]
            assert partners.tolist() in found
            paired += int((partners != NO_PLACE).sum())
    assert paired > 10


def _places(
    text: str, row: np.ndarray, answer: np.ndarray, student: str | None, teacher: str | None
) -> list[list[int]]:
    """What the places may be, by where both rows may stand in the text."""
    mine, theirs = list_reads(student, text), list_reads(teacher, text)
    tokens, others = _tokens(student, text), _tokens(teacher, text)
    found = []
    for at in range(len(tokens) - len(row)):
        if tokens[at : at + len(row)] != row.tolist():
            continue
        begin = mine[at][0] if at == 0 else mine[at - 1][1]
        end = mine[at + len(row)][1]
        if at + len(row) == len(tokens) - 1:
            end = len(text.encode())
        inside = [j for j in range(len(others)) if _lies_in(theirs, j, begin, end, text)]
        if len(inside) < 2 or [others[j] for j in inside[:-1]] != answer.tolist():
            if len(inside) < 2:
                found.append([NO_PLACE] * len(row))
            continue
        partners = []
        for i in range(at, at + len(row)):
            same = [n for n, j in enumerate(inside[:-1]) if theirs[j][1] == mine[i][1]]
            is_last = mine[i + 1][1] > mine[i][1]
            partners.append(same[-1] if same and is_last else NO_PLACE)
        last = inside[-1]
        for n, i in enumerate(
            range(at, at + len(row))
        ):  # the whole character is read at its last piece
            if partners[n] == len(inside) - 2 and theirs[last][1] == mine[i][1]:
                partners[n] = NO_PLACE
        found.append(partners)
    return found


def _lies_in(spans: list[tuple[int, int]], j: int, begin: int, end: int, text: str) -> bool:
    start = spans[j - 1][1] if j else 0
    stop = spans[j][1] if j < len(spans) - 1 else len(text.encode())
    is_piece = j > 0 and spans[j][1] == spans[j - 1][1]
    return (start > begin or (start == begin and not (is_piece and begin))) and stop <= end


def _tokens(name: str | None, text: str) -> list[int]:
    if name is None:
        return [each + 1 for each in text.encode()]
    library = Tokenizer.from_str(FILES[name].decode())
    library.no_truncation()
    return list(library.encode(text, add_special_tokens=False).ids)


def test_by_position_the_first_answers_to_the_first(tmp_path: Path) -> None:
    made = read(tmp_path, tokenizer="words", blocks_by="", longest=20, align="position")
    for tokens, following, places in zip(
        made.splits["train"]["text"],
        made.splits["train"]["next_tokens"],
        made.places["train"],
        strict=True,
    ):
        count = int((following != IGNORED).sum())
        assert places.tolist() == [*range(count), *[NO_PLACE] * (len(places) - count)]
        assert len(tokens) == len(following)


def test_packed_blocks_hold_whole_tokens_of_the_same_text(tmp_path: Path) -> None:
    own = read(tmp_path, longest=24)
    made = read(tmp_path, tokenizer="words", blocks_by="", longest=24)
    library = Tokenizer.from_str(FILES["words"].decode())
    for split in own.splits:
        both = zip(own.splits[split]["text"], made.splits[split]["text"], strict=True)
        for mine, theirs in both:
            text = bytes((mine - 1).tolist()).decode(errors="replace").lower().replace("ë", "e")
            for token in theirs.tolist():
                spelled = library.id_to_token(token).removeprefix("##")
                assert spelled.startswith("[") or spelled in text
    said = sum(float(each["text_bytes"].sum()) for each in made.splits.values())
    whole = sum(float(each["text_bytes"].sum()) for each in own.splits.values())
    assert 0.5 * whole < said <= whole


def test_a_block_within_one_token_says_nothing(tmp_path: Path) -> None:
    made = read(tmp_path, tokenizer="words", blocks_by="", longest=2, packed=False)
    rows = made.splits["train"]
    silent = [n for n, following in enumerate(rows["next_tokens"]) if IGNORED in following]
    assert silent
    for number in silent:
        assert rows["text"].row(number).shape == rows["next_tokens"].row(number).shape == (1,)
        assert rows["text_bytes"][number, 0] == 0
        assert (made.places["train"].row(number) == NO_PLACE).all()


def test_without_a_second_tokenizer_nothing_is_paired(tmp_path: Path) -> None:
    assert read(tmp_path, longest=8).places == {}


def test_documents_that_lose_other_bytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekd.learn.data.encoding import EncodedDocument
    from edgekd.learn.data.encoding import TokenizerEncoding

    whole = TokenizerEncoding.encode_documents
    monkeypatch.setattr(
        TokenizerEncoding,
        "encode_documents",
        lambda self, texts: [EncodedDocument(e.tokens, e.sizes * 2) for e in whole(self, texts)],
    )
    with pytest.raises(InputError, match="leave out other parts"):
        read(tmp_path, tokenizer="words", blocks_by="", longest=8)
