"""The tokenizer that a GGUF file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import InputError
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.gguf.reading import read_head
from edgekd.learn.gguf.tokenizer import read_tokenizer
from tests.gguf_example import llama
from tests.gguf_example import pack


def write(folder: Path, **changed: Any) -> Path:
    path = folder / "m.gguf"
    named = {f"tokenizer.ggml.{name}": value for name, value in changed.items()}
    path.write_bytes(pack(llama() | named, {}))
    return path


def test_pairs_are_joined_in_their_order(tmp_path: Path) -> None:
    write(tmp_path)
    encoding = open_encoding(str(tmp_path), None)
    assert encoding.encode("ab ab11<|endoftext|>", 9)[0].tolist() == [5, 6, 4, 4, 0]


@pytest.mark.parametrize(
    "changed, want",
    [
        ({"model": "llama"}, "got the tokenizer llama smollm"),
        ({"pre": ["smollm"]}, "got the tokenizer gpt2"),
        ({"pre": "unheard-of"}, "got the tokenizer gpt2 unheard-of"),
        ({"token_type": [1]}, "without tokens, kinds or merges"),
        ({"tokens": ["a"] * 7}, "got a token twice"),
    ],
)
def test_other_tokenizers(tmp_path: Path, changed: dict[str, Any], want: str) -> None:
    with pytest.raises(InputError, match=want):
        read_tokenizer(read_head(write(tmp_path, **changed)))
