"""Source `tagged-text`: texts word by word, each word with its tag: JSON lines, or columns as CoNLL has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.errors import InputError
from edgekd.field import from_rows
from edgekd.fields.tags import IGNORED
from edgekd.learn.data.columns import MOST_CLASSES
from edgekd.learn.data.columns import find_splits
from edgekd.learn.data.encoding import EncodedWords
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.encoding import describe_cut
from edgekd.learn.data.encoding import find_tokenizer
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.encoding import require_whole_characters
from edgekd.learn.data.hub_lists import fetch
from edgekd.learn.data.hub_lists import list_local
from edgekd.learn.data.hub_lists import pins as pins
from edgekd.learn.data.hub_lists import remote as remote
from edgekd.learn.data.lists import is_table
from edgekd.learn.data.lists import read_list
from edgekd.learn.data.spooled_rows import read_tagged
from edgekd.learn.data.spooled_texts import find_spool
from edgekd.learn.formats.records import JSON
from edgekd.learn.formats.records import JSON_LINES
from edgekd.learn.formats.records import find_list_suffix
from edgekd.learn.formats.word_columns import read_word_columns
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.learn.source import require_names
from edgekd.settings import Count
from edgekd.units import number_text

OUTSIDE = "O"
MOST_TAG = 200


class _Text(NamedTuple):
    encoded: EncodedWords
    tags: tuple[str, ...]
    line: str
    """Where it stands."""


def files(
    *,
    reference: str,
    tokenizer: str | None = None,
    data_dir: Path | None = None,
    allow_download: bool = False,
    **_: Any,
) -> list[Path]:
    """The file, and that of the tokenizer if there is one.

    Raises:
        InputError: if one is not there.
    """
    return [*list_local(reference, data_dir, allow_download), *find_tokenizer(tokenizer, data_dir)]


def read(
    *,
    reference: str,
    tokens: str = "tokens",
    tags: str = "tags",
    longest: Count = 256,
    tokenizer: str | None = None,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The texts of the file `reference`: ``{"tokens": ["Ada", "slept"], "tags": ["B-PER", "O"]}`` a line; or a word and
    its tag a line, the tag last, an empty line between texts.

    The first token of a word bears its tag; its other tokens, and spaces, have none. Where lines of JSON have a key
    ``split``, it is train, validation or test.

    Args:
        reference: the file; .jsonl, .ndjson and .json, plain or packed (.gz), are JSON, .parquet and .arrow lists of
            words and tags, as is a folder of those; any other has columns.
        tokens: key of the words.
        tags: key of their tags, text or whole numbers.
        longest: tokens of a text that are taken; the rest is cut off.
        tokenizer: a tokenizer.json, or the folder it lies in; None takes the bytes of a text for its tokens.
        on_broken: ``refuse`` stops at the first text that cannot be used, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the file and the line whose words and tags are not as many, or no such; or a tag that
            training lacks.
    """
    require_known(on_broken)
    if (spool := find_spool(reference, data_dir)) is not None:
        said = {"tokens": tokens, "tags": tags, "longest": longest}
        usual = {"tokens": "tokens", "tags": "tags", "longest": 256}
        spool.require_same("tagged-text", said, usual)
        return read_tagged(spool, spool.open_encoding(tokenizer, data_dir))
    path = locate(fetch(reference, data_dir, allow_download), data_dir)
    if is_table(path) or find_list_suffix(path) in (*JSON_LINES, *JSON):
        records = read_list(path)
    else:
        records = read_word_columns(path, tokens, tags)
    encoding = open_encoding(tokenizer, data_dir)
    column, splits = find_splits(records, None, path, str(path))
    texts: list[_Text | None] = []
    skipped: list[str] = []
    for number, row in enumerate(records.rows):
        where = records.where(path, number)
        try:
            texts.append(_encode(row, tokens, tags, encoding, longest, where))
        except ValueError as error:
            if on_broken == "refuse":
                raise InputError(f"{where}: {error}", hint=SKIP_HINT) from error
            skipped.append(f"{where}: {error}")
            texts.append(None)
    chosen = {
        name: [text for at in numbers if (text := texts[at])] for name, numbers in splits.items()
    }
    names = _name_classes(chosen, path)
    numbers = {name: number for number, name in enumerate(names)}
    kept = [text for each in chosen.values() for text in each]
    cut = sum(text.encoded.is_cut for text in kept)
    most = max(len(text.encoded.tokens) for text in kept)
    note = (
        f"{number_text(len(kept), 'text')} of {number_text(sum(len(t.tags) for t in kept), 'word')}, "
        f"{number_text(len(names), 'tag')}{describe_cut(cut, longest, encoding.unit)}"
    )
    return Source(
        {name: _rows(each, numbers) for name, each in chosen.items() if each},
        {
            "text": FieldWords("tokens", encoding.describe(most)),
            "tags": FieldWords("tags", {"names": names}),
        },
        (note,),
        tuple(skipped),
        tokenizer=encoding.file,
    )


def _encode(
    row: dict[str, Any], tokens: str, tags: str, encoding: Encoding, longest: int, where: str
) -> _Text:
    """
    Raises:
        ValueError: if a row is no text with a tag a word.
    """
    words, named = parse_tags(row, tokens, tags)
    try:
        encoded = encoding.encode_words(words, longest)
    except InputError as error:
        raise ValueError(str(error)) from error
    return _Text(encoded, named, where)


def parse_tags(row: dict[str, Any], tokens: str, tags: str) -> tuple[list[str], tuple[str, ...]]:
    """The words of a row and the tag of each.

    Raises:
        ValueError: if it has none, or not as many of both; if one is no text.
    """
    for key in (tokens, tags):
        if not isinstance(row.get(key), list) or not row[key]:
            raise ValueError(f"{key}: got {str(row.get(key))[:40]!r}, want a list of some")
    words, said = row[tokens], row[tags]
    if len(words) != len(said):
        raise ValueError(f"got {len(words)} {tokens} and {len(said)} {tags}, want as many of each")
    if not all(isinstance(word, str) for word in words):
        raise ValueError(f"{tokens}: got words that are not text, want text")
    if not all(type(tag) in (str, int) and len(str(tag)) <= MOST_TAG for tag in said):
        raise ValueError(f"{tags}: got tags that are neither text nor whole numbers, want either")
    named = tuple(map(str, said))
    try:
        require_names(named, tags)
        require_whole_characters("".join(words))
    except InputError as error:
        raise ValueError(str(error)) from error
    except UnicodeEncodeError as error:
        raise ValueError(f"{tokens}: got half a character, want text in UTF-8") from error
    return words, named


def _name_classes(chosen: dict[str, list[_Text]], path: Path) -> tuple[str, ...]:
    """The tags that training has, `OUTSIDE` first.

    Raises:
        InputError: if training has no text or one tag alone, or another split has a tag that it lacks.
    """
    trained = {tag for text in chosen.get("train", []) for tag in text.tags}
    if len(trained) > MOST_CLASSES:
        raise InputError(f"{path}: got {len(trained):,} tags, want at most {MOST_CLASSES:,}")
    if len(trained) < 2:
        got = ", ".join(sorted(trained)) or "no texts"
        raise InputError(f"{path}: got {got[:80]} to train on, want texts with two tags or more")
    for text in (text for each in chosen.values() for text in each):
        if strangers := set(text.tags) - trained:
            got = min(strangers)
            raise InputError(f"{text.line}: got tag {got[:40]!r}, want one that is in training")
    return tuple(sorted(trained, key=lambda name: (name != OUTSIDE, name)))


def _rows(texts: Sequence[_Text], numbers: dict[str, int]) -> dict[str, Any]:
    tagged = []
    for text in texts:
        row = np.full(len(text.encoded.tokens), IGNORED, np.int64)
        row[text.encoded.firsts] = [numbers[tag] for tag in text.tags[: len(text.encoded.firsts)]]
        tagged.append(row)
    return {
        "text": from_rows([text.encoded.tokens for text in texts], np.zeros(0, np.int32)),
        "tags": from_rows(tagged, np.zeros(0, np.int64)),
    }
