"""Whether two files of tokenizers make the same tokens of every text, and if not, where they differ first."""

from __future__ import annotations

import json
from typing import Any

from edgekd.errors import InputError
from edgekd.tokenizer import FILE
from edgekd.tokenizer import MOST_BYTES

_PARTS = ("normalizer", "pre_tokenizer", "post_processor")
_OF_MODEL = (
    "type",
    "unk_token",
    "byte_fallback",
    "continuing_subword_prefix",
    "end_of_word_suffix",
    "unk_id",
    "fuse_unk",
    "ignore_merges",
    "dropout",
    "max_input_chars_per_word",
)
_OF_TOKEN = ("id", "content", "special", "normalized", "lstrip", "rstrip", "single_word")


def find_tokenizer_difference(one: bytes, other: bytes) -> str:
    """The first difference that changes tokens: ``the token of 17: 'cat' and 'dog'``; empty if there is none.

    What is said of truncation, padding and spelling tokens out again is passed over.

    Args:
        one: a tokenizer.json that was admitted.
        other: another, of which nothing is known.

    Raises:
        InputError: if the second is no tokenizer.json.
    """
    if one == other:
        return ""
    mine, theirs = _read(one), _read(other)
    vocabularies = [_list_tokens(each) for each in (mine, theirs)]
    places = [_invert(each) for each in vocabularies]
    for number in sorted({*places[0], *places[1]}):
        said = [each.get(number, "none") for each in places]
        if said[0] != said[1]:
            return f"the token of {number}: {said[0][:40]!r} and {said[1][:40]!r}"
    for name in _OF_MODEL:
        if (pair := _pair(mine["model"], theirs["model"], name)) is not None:
            return f"model.{name}: {pair}"
    merges = [
        [_join(merge) for merge in _list_items(each["model"], "merges")] for each in (mine, theirs)
    ]
    for number, (left, right) in enumerate(zip(*merges, strict=False)):
        if left != right:
            return f"merge {number}: {left[:40]!r} and {right[:40]!r}"
    if len(merges[0]) != len(merges[1]):
        return f"merges: {len(merges[0])} and {len(merges[1])}"
    added = [
        [_describe_token(t) for t in _list_items(each, "added_tokens")] for each in (mine, theirs)
    ]
    for left, right in zip(*added, strict=False):
        if left != right:
            return f"added_tokens: {left[:80]} and {right[:80]}"
    if len(added[0]) != len(added[1]):
        return f"added_tokens: {len(added[0])} and {len(added[1])}"
    for name in _PARTS:
        if (pair := _pair(mine, theirs, name)) is not None:
            return f"{name}: {pair}"
    return ""


def _read(data: bytes) -> dict[str, Any]:
    try:
        if len(data) > MOST_BYTES:
            raise ValueError
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{FILE} of the model: got no JSON, want a {FILE}") from error
    if not isinstance(value, dict) or not isinstance(value.get("model"), dict):
        raise InputError(f"{FILE} of the model: got JSON without a model, want a {FILE}")
    return value


def _list_items(part: dict[str, Any], name: str) -> list[Any]:
    value = part.get(name) or []
    if not isinstance(value, list):
        got = f"{type(value).__name__} as {name}"
        raise InputError(f"{FILE} of the model: got {got}, want a list")
    return value


def _list_tokens(described: dict[str, Any]) -> dict[str, int]:
    vocabulary = described["model"].get("vocab")
    if isinstance(vocabulary, list):  # of Unigram: tokens with their weights, in order
        return {json.dumps(each): number for number, each in enumerate(vocabulary)}
    return dict(vocabulary) if isinstance(vocabulary, dict) else {}


def _invert(vocabulary: dict[str, int]) -> dict[int, str]:
    return {number: token for token, number in vocabulary.items() if type(number) is int}


def _join(pair: Any) -> str:
    return " ".join(map(str, pair)) if isinstance(pair, list) else str(pair)


def _describe_token(token: Any) -> str:
    fields = token if isinstance(token, dict) else {}
    return json.dumps([fields.get(name) for name in _OF_TOKEN])


def _pair(one: dict[str, Any], other: dict[str, Any], name: str) -> str | None:
    left, right = (each.get(name) for each in (one, other))
    if left == right or (not left and not right and name != "unk_id"):
        return None
    try:
        return " and ".join(json.dumps(each, sort_keys=True)[:80] for each in (left, right))
    except RecursionError as error:
        raise InputError(f"{FILE} of the model: {name}: got it nested too deeply") from error
