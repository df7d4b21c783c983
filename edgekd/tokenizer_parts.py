"""The parts of a tokenizer.json: the numbers of its tokens; whether what stands around its model ends in time and space, whatever
text comes, and which tokens it adds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from edgekd.errors import InputError

MOST_PATTERN, MOST_DEPTH, MOST_GROWTH, MOST_PARTS = 2000, 16, 64, 64
"""Characters of a pattern; levels of a part; how often as long a text may become; parts of one kind."""
MOST_TOKENS = 2**24
"""Of a vocabulary."""
_REPEATED_GROUP = re.compile(r"\)[*+{]|\\g")
"""A group that is repeated or calls itself: where it can match in two ways, a search takes exponential time."""


def require_harmless(described: dict[str, Any], where: str) -> None:
    """Look at what stands beside the model and the added tokens.

    Args:
        described: a whole tokenizer.json.
        where: how to call it in a message.

    Raises:
        InputError: for a pattern that may take for ever, parts that nest too deeply, or that make a text grow and grow.
    """
    for key, value in described.items():
        if key in ("model", "added_tokens"):
            continue
        parts = list(_list_parts(value, f"{where}: {key}", MOST_DEPTH))
        for pattern in _list_patterns(parts):
            if len(pattern) > MOST_PATTERN or _REPEATED_GROUP.search(pattern):
                got = f"the pattern {pattern[:60]!r}"
                raise InputError(f"{where}: {key}: got {got}, want one without repeated groups")
        growth = 1.0
        for part in parts:
            growth *= _grow(part)
        if growth > MOST_GROWTH or sum("type" in part for part in parts) > MOST_PARTS:
            raise InputError(f"{where}: {key}: got parts that make a text grow, want it as long")
        for part in parts:
            _require_text_once(part, f"{where}: {key}")


def _list_parts(value: Any, where: str, deepest: int) -> Iterator[dict[str, Any]]:
    """Yield all objects in it."""
    if not isinstance(value, dict | list):
        return
    if not deepest:
        raise InputError(f"{where}: got parts that nest too deeply")
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value:
        yield from _list_parts(each, where, deepest - 1)


def _list_patterns(parts: list[dict[str, Any]]) -> Iterator[str]:
    return (part["Regex"] for part in parts if isinstance(part.get("Regex"), str))


def _grow(part: dict[str, Any]) -> float:
    """How often as long a part makes a text at most; a text to prepend counts as if it stood before every character."""
    kind, content, pattern = (part.get(key) for key in ("type", "content", "pattern"))
    if kind == "Replace" and isinstance(content, str):
        replaced = pattern.get("String") if isinstance(pattern, dict) else pattern
        return max(1.0, len(content) / len(replaced)) if replaced else 1.0 + len(content)
    if kind == "Prepend" and isinstance(part.get("prepend"), str):
        return 1.0 + len(part["prepend"])
    return 2.0 if kind == "ByteLevel" else 1.0


def _require_text_once(part: dict[str, Any], where: str) -> None:
    """Raises InputError for a template that gives a text back more than once, or puts very much around it."""
    if part.get("type") != "TemplateProcessing" or not isinstance(part.get("single"), list):
        return
    texts = sum(isinstance(each, dict) and "Sequence" in each for each in part["single"])
    if texts > 1 or len(part["single"]) > MOST_PARTS:
        raise InputError(f"{where}: got a template with {texts} times the text, want it once")


def list_special(processor: Any, deepest: int = MOST_DEPTH) -> Iterator[tuple[str, Any]]:
    """Yield the tokens that are put around a text, each with its numbers."""
    if not isinstance(processor, dict) or not deepest:
        return
    parts = processor.get("processors")
    for part in parts if isinstance(parts, list) else []:
        yield from list_special(part, deepest - 1)
    for key in ("sep", "cls"):  # of BERT's and RoBERTa's own
        pair = processor.get(key)
        if isinstance(pair, list) and len(pair) == 2:
            yield str(pair[0]), pair[1]
    tokens = processor.get("special_tokens")
    for name, each in tokens.items() if isinstance(tokens, dict) else []:
        numbers = each.get("ids") if isinstance(each, dict) else None
        for number in numbers if isinstance(numbers, list) else [None]:
            yield name, number


def list_numbers(described: dict[str, Any], where: str) -> set[int]:
    """The numbers of all tokens.

    Raises:
        InputError: if one has none, or that of another; or there are none, or too many.
    """
    vocabulary, added = described["model"].get("vocab"), described["added_tokens"]
    if isinstance(vocabulary, dict):
        numbers = list(vocabulary.values())
    elif isinstance(vocabulary, list):  # of Unigram, in their order
        numbers = list(range(len(vocabulary)))
    else:
        got = type(vocabulary).__name__
        raise InputError(f"{where}: model.vocab: got {got}, want the tokens with their numbers")
    if not isinstance(added, list) or not all(isinstance(each, dict) for each in added):
        raise InputError(f"{where}: added_tokens: want a list of tokens")
    for each in added:
        if type(each.get("id")) is not int:
            named = str(each.get("content"))[:40]
            raise InputError(f"{where}: added_tokens: got {named!r} without a number, want an id")
        numbers.append(each["id"])
    wrong = [each for each in numbers if type(each) is not int or not 0 <= each < MOST_TOKENS]
    if wrong or not numbers:
        got = str(wrong[0])[:40] if wrong else "no token"
        raise InputError(f"{where}: model.vocab: got {got}, want numbers below {MOST_TOKENS}")
    if isinstance(vocabulary, dict) and len(set(vocabulary.values())) < len(vocabulary):
        (twice, _), *_ = Counter(vocabulary.values()).most_common(1)
        both = [token for token, number in vocabulary.items() if number == twice]
        got = f"number {twice} for {both[0][:40]!r} and {both[1][:40]!r}"
        raise InputError(f"{where}: model.vocab: got {got}, want one of its own for each")
    found = set(numbers)
    processor = described.get("post_processor")
    for name, number in list_special(processor):
        if type(number) is not int or number not in found:
            got = f"{name[:40]!r} with number {str(number)[:20]}"
            raise InputError(f"{where}: post_processor: got {got}, want one of the vocabulary")
    return found
