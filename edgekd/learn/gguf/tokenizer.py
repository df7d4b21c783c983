"""The tokenizer.json that a GGUF file holds in other words: pairs of bytes, as GPT-2 and its heirs have them."""

from __future__ import annotations

import json
from typing import Any

from edgekd.errors import InputError
from edgekd.learn.gguf.reading import GgufFile

_CONTROL, _USER = 3, 4
"""Kinds of tokens that are taken as wholes; the first are no text."""
_NAMED = {"bos": "bos", "eos": "eos", "unknown": "unk", "padding": "pad"}
"""Special tokens as the file calls them, and as templates do."""
_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_DIGITS = {"type": "Digits", "individual_digits": True}
_PARTS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [{**_BYTE_LEVEL, "use_regex": True}],
    "smollm": [_DIGITS, {**_BYTE_LEVEL, "use_regex": True}],
}
"""How text is taken apart before pairs are joined, by what the file calls it."""


def read_tokenizer(file: GgufFile) -> bytes:
    """A tokenizer.json; no token is put around a text.

    Raises:
        InputError: if the file holds none, or one of another kind.
    """
    said = {name: str(file.metadata.get(f"tokenizer.ggml.{name}")) for name in ("model", "pre")}
    if said["model"] != "gpt2" or said["pre"] not in _PARTS:
        got = " ".join(value[:40] for value in said.values())
        raise InputError(f"{file.path}: got the tokenizer {got}, want gpt2 {' or '.join(_PARTS)}")
    tokens, kinds, merges = (
        file.metadata.get(f"tokenizer.ggml.{name}") for name in ("tokens", "token_type", "merges")
    )
    lists = [each for each in (tokens, kinds, merges) if isinstance(each, list)]
    if len(lists) < 3 or len(lists[0]) != len(lists[1]):
        raise InputError(f"{file.path}: got a tokenizer without tokens, kinds or merges, want them")
    numbers = {str(token): number for number, token in enumerate(lists[0])}
    if len(numbers) != len(lists[0]):
        raise InputError(f"{file.path}: got a token twice, want each once")
    added = [
        _describe(number, token, kind == _CONTROL)
        for number, (token, kind) in enumerate(zip(lists[0], lists[1], strict=True))
        if kind in (_CONTROL, _USER)
    ]
    described = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": _PARTS[said["pre"]]},
        "post_processor": None,
        "decoder": {**_BYTE_LEVEL, "use_regex": True},
        "model": {"type": "BPE", "vocab": numbers, "merges": list(map(str, lists[2]))},
    }
    return json.dumps(described, ensure_ascii=False).encode()


def read_chat_template(file: GgufFile) -> tuple[str | None, dict[str, str]]:
    """The chat template that a file holds, None if it holds none; and special tokens by the names that templates use."""
    text, tokens = (
        file.metadata.get(f"tokenizer.{name}") for name in ("chat_template", "ggml.tokens")
    )
    found: dict[str, str] = {}
    for name in _NAMED:
        number = file.metadata.get(f"tokenizer.ggml.{name}_token_id")
        if isinstance(tokens, list) and isinstance(number, int) and 0 <= number < len(tokens):
            found[f"{_NAMED[name]}_token"] = str(tokens[number])
    return text if isinstance(text, str) else None, found


def _describe(number: int, token: Any, is_special: bool) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": str(token), **flags, "special": is_special}
